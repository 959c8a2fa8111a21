"""What a recording holds: its streams, its contracts, and the digits of their prices and quantities.

Rules of a contract are not in a recording, so they are read off its numbers: the finest price seen makes the tick, the finest
quantity the step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, Protocol

import attrs

from coldframe.errors import ConfigError, DecodeError
from coldframe.exchange.contracts import Contract, Listing, contract
from coldframe.units import check_scalable, scaled, unscaled
from coldframe.wire.codec import Census, decode, decode_stream
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.recording import RecordingLine
from coldframe.wire.reference import Depth
from coldframe.wire.streams import AggTrade, BookTicker, DepthUpdate, Level, MarkPrice, Trade

#: So many lines are enough to know a recording; a longer one is not read twice.
_MOST_LINES: Final = 200_000
_QUOTES: Final = ("USDT", "USDC", "BUSD", "FDUSD", "USD", "BTC")
_TRADES: Final = (StreamKind.TRADE, StreamKind.AGG_TRADE)
#: The streams that say something about a contract.
_TELLING: Final = (*_TRADES, StreamKind.DIFF_DEPTH, StreamKind.BOOK_TICKER, StreamKind.MARK_PRICE)


class RecordingLines(Protocol):
    """The lines of a recording, read once from the first to the last. Reading raises `ConfigError` for what is not a recording."""

    #: The number of the line that was given last, from 1.
    line: int
    #: What is wrong with the end, in one sentence, once it has been reached.
    tear: str | None

    def __iter__(self) -> Iterator[RecordingLine]:
        """Gives every line."""


@attrs.define
class _Digits:
    """Digits behind the point: as published, and as needed."""

    published: int = 0
    needed: int = 0

    def see(self, text: str) -> None:
        fraction = text.partition(".")[2]
        self.published = max(self.published, len(fraction))
        self.needed = max(self.needed, len(fraction.rstrip("0")))


@attrs.define
class RecordedSymbol:
    """One contract of a recording."""

    symbol: str
    depth_names: list[StreamName] = attrs.field(factory=list)
    trade_names: list[StreamName] = attrs.field(factory=list)
    prices: _Digits = attrs.field(factory=_Digits)
    quantities: _Digits = attrs.field(factory=_Digits)
    #: A price from the beginning of the recording.
    first_price: Decimal | None = None
    highest: Decimal = Decimal(0)
    has_marks: bool = False
    snapshots: int = 0

    @property
    def depth_name(self) -> str | None:
        """The diff-depth stream that the book is kept by: the fastest in the recording."""
        return str(min(self.depth_names, key=lambda name: name.period_ms)) if self.depth_names else None

    @property
    def trade_name(self) -> str | None:
        """The stream that says what was traded: single trades if there are any, aggregates otherwise, never both."""
        return str(min(self.trade_names, key=lambda name: _TRADES.index(name.kind))) if self.trade_names else None

    def contract(self) -> Contract:
        """The contract that its numbers make likely."""
        quote = next((quote for quote in _QUOTES if self.symbol.partition("_")[0].endswith(quote)), "USDT")
        base = self.symbol.partition("_")[0].removesuffix(quote)
        tick, step = Decimal(1).scaleb(-self.prices.needed), Decimal(1).scaleb(-self.quantities.needed)
        return contract(
            Listing(
                symbol=self.symbol,
                base=base,
                quote=quote,
                tick=tick,
                step=step,
                price_digits=self.prices.published,
                quantity_digits=self.quantities.published,
                min_price=tick,
                max_price=Decimal(10) ** (self.highest.adjusted() + 4),
                max_quantity=Decimal(100_000_000),
                market_quantity=Decimal(10_000_000),
            )
        )


@attrs.define
class RecordingInfo:
    """A whole recording. `complete` is false when only its beginning was looked at; `tear` as in `RecordingLines`."""

    #: What it is called in messages: its path.
    name: str
    names: Counter[str] = attrs.field(factory=Counter)
    symbols: dict[str, RecordedSymbol] = attrs.field(factory=dict)
    lines: int = 0
    first_ns: int = 0
    last_ns: int = 0
    complete: bool = True
    tear: str | None = None
    #: The first line whose receive time lies before that of the line before it; 0 when there is none.
    backwards: int = 0

    @property
    def note(self) -> str | None:
        """What to know before playing it, in one line; None when all is as it should be."""
        said = [self.tear] if self.tear else []
        if self.backwards:
            said.append(f"{self.name}:{self.backwards}: time goes backwards here; lines are played in their order all the same")
        bare = [symbol for symbol, info in self.symbols.items() if info.depth_names and not info.snapshots] if self.complete else []
        if bare:
            said.append(f"{self.name}: no snapshot of {', '.join(bare)} on it: no book there can ever be synced")
        return "; ".join(said) or None


def look_through(lines: RecordingLines, name: str) -> RecordingInfo:
    """Looks through a recording that is called `name`. Raises `ConfigError` when it cannot be read or holds no market."""
    made = RecordingInfo(name)
    for line in lines:
        made.first_ns = made.first_ns or line.t
        if line.t < made.last_ns and not made.backwards:
            made.backwards = lines.line
        made.last_ns = line.t
        made.lines += 1
        try:
            _see(made, line)
        except (DecodeError, ValueError) as error:
            raise ConfigError(f"{name}:{lines.line}: not a payload of its stream: {error}") from None
        if made.lines >= _MOST_LINES:
            made.complete = False
            break
    made.tear = lines.tear
    if not made.symbols:
        raise ConfigError(f"{name}: no market on this recording{f' ({made.tear})' if made.tear else ''}")
    return made


def _see(made: RecordingInfo, line: RecordingLine) -> None:
    if isinstance(line.snapshot, str):
        body = decode(Depth, line.payload, Census())
        info = _of(made, line.snapshot)
        info.snapshots += 1
        _see_levels(info, body.bids[:50], body.asks[:50])
        return
    name_text = str(line.stream)
    made.names[name_text] += 1
    try:
        name = parse(name_text)
    except ValueError:
        return
    if name.subject:
        _see_stream(_of(made, name.symbol), name, line.payload, first=made.names[name_text] == 1)


def _of(made: RecordingInfo, symbol: str) -> RecordedSymbol:
    return made.symbols.setdefault(symbol, RecordedSymbol(symbol))


def _see_stream(info: RecordedSymbol, name: StreamName, payload: bytes, *, first: bool) -> None:
    if first and name.kind is StreamKind.DIFF_DEPTH:
        info.depth_names.append(name)
    if first and name.kind in (StreamKind.AGG_TRADE, StreamKind.TRADE):
        info.trade_names.append(name)
    if name.kind not in _TELLING:
        return
    for message in decode_stream(name, payload, Census()):
        match message:
            case DepthUpdate():
                _see_levels(info, message.bids, message.asks)
            case AggTrade() | Trade():
                _see_level(info, (message.price, message.quantity))
                info.first_price = info.first_price or unscaled(scaled(message.price)) or None
            case BookTicker():
                _see_levels(info, [(message.bid, message.bid_quantity)], [(message.ask, message.ask_quantity)])
                info.first_price = info.first_price or unscaled(scaled(message.bid)) or None
            case MarkPrice():
                info.has_marks = True
            case _:
                pass  # `_TELLING` lets no other message through


def _see_levels(info: RecordedSymbol, bids: Iterable[Level], asks: Iterable[Level]) -> None:
    for level in (*bids, *asks):
        _see_level(info, level)


def _see_level(info: RecordedSymbol, level: Level) -> None:
    check_scalable(level)
    info.prices.see(level[0])
    info.quantities.see(level[1])
    info.highest = max(info.highest, unscaled(scaled(level[0])))
