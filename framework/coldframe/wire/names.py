"""The grammar of stream names: built and parsed here, and lower case by construction.

A name with one wrong letter is acknowledged by the venue and then silent forever (protocol.md 4.1), so no other module may
put a stream name together from strings. Source: the "Stream Name" sections of `seeds/`; `rpiDepth`, `tradingSession` and
`trade` from protocol.md 4.1 and 5.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import attrs

from coldframe.enums import CONTINUOUS_CONTRACTS, INTERVALS

_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}
_SUBJECT: Final = re.compile(r"[^@!/\s,?&=A-Z]+")


class StreamKind(StrEnum):
    """One member per shape of payload; the value is the channel as a configuration writes it."""

    AGG_TRADE = "aggTrade"
    TRADE = "trade"
    MARK_PRICE = "markPrice"
    KLINE = "kline"
    CONTINUOUS_KLINE = "continuousKline"
    MINI_TICKER = "miniTicker"
    TICKER = "ticker"
    BOOK_TICKER = "bookTicker"
    FORCE_ORDER = "forceOrder"
    PARTIAL_DEPTH = "partialDepth"
    DIFF_DEPTH = "depth"
    RPI_DEPTH = "rpiDepth"
    COMPOSITE_INDEX = "compositeIndex"
    CONTRACT_INFO = "contractInfo"
    ASSET_INDEX = "assetIndex"
    TRADING_SESSION = "tradingSession"


_DEPTH_SPEEDS: Final = ("", "500ms", "100ms", "0ms")


@attrs.frozen
class _Form:
    """How the names of one kind look: the channel after `<subject>@`, the all-market name, the speed suffixes."""

    channel: str = ""
    all_market: str = ""
    speeds: tuple[str, ...] = ("",)
    #: Milliseconds between two messages for each speed; 0 for "whenever something happens".
    periods: tuple[int, ...] = (0,)


_FORMS: Final[dict[StreamKind, _Form]] = {
    StreamKind.AGG_TRADE: _Form("aggTrade", periods=(100,)),
    StreamKind.TRADE: _Form("trade"),
    StreamKind.MARK_PRICE: _Form("markPrice", "!markPrice@arr", ("", "1s"), (3000, 1000)),
    StreamKind.KLINE: _Form("kline_", periods=(250,)),
    StreamKind.CONTINUOUS_KLINE: _Form("continuousKline_", periods=(250,)),
    StreamKind.MINI_TICKER: _Form("miniTicker", "!miniTicker@arr", periods=(2000,)),
    StreamKind.TICKER: _Form("ticker", "!ticker@arr", periods=(2000,)),
    StreamKind.BOOK_TICKER: _Form("bookTicker", "!bookTicker"),
    StreamKind.FORCE_ORDER: _Form("forceOrder", "!forceOrder@arr", periods=(1000,)),
    StreamKind.PARTIAL_DEPTH: _Form("depth", speeds=_DEPTH_SPEEDS, periods=(250, 500, 100, 0)),
    StreamKind.DIFF_DEPTH: _Form("depth", speeds=_DEPTH_SPEEDS, periods=(250, 500, 100, 0)),
    StreamKind.RPI_DEPTH: _Form("rpiDepth", speeds=("500ms",), periods=(500,)),
    StreamKind.COMPOSITE_INDEX: _Form("compositeIndex", periods=(1000,)),
    StreamKind.CONTRACT_INFO: _Form(all_market="!contractInfo"),
    StreamKind.ASSET_INDEX: _Form("assetIndex", "!assetIndex@arr", periods=(1000,)),
    StreamKind.TRADING_SESSION: _Form(all_market="tradingSession", periods=(1000,)),
}
#: All-market streams that are faster or slower than the stream of one symbol.
_ALL_MARKET_PERIODS: Final = {
    StreamKind.MINI_TICKER: 1000,
    StreamKind.TICKER: 1000,
    StreamKind.BOOK_TICKER: 5000,
}
_LEVELS: Final = (5, 10, 20)
_KLINES: Final = (StreamKind.KLINE, StreamKind.CONTINUOUS_KLINE)


@attrs.frozen
class StreamName:
    """One stream, as data. `str()` gives the name on the wire; equal streams have equal names.

    `subject` is the lower-case symbol, pair or asset, empty for an all-market stream. `speed` is the suffix without its `@`,
    empty for the default speed. `interval` belongs to klines, `contract` to continuous klines, `levels` to partial depth.
    Raises `ValueError` for a combination that the venue does not serve.
    """

    kind: StreamKind
    subject: str = ""
    speed: str = ""
    interval: str = ""
    contract: str = ""
    levels: int = 0

    def __attrs_post_init__(self) -> None:
        form = _FORMS[self.kind]
        if self.subject:
            if not form.channel or _SUBJECT.fullmatch(self.subject) is None:
                raise ValueError(f"{self.subject!r} cannot be the subject of a {self.kind} stream")
        elif not form.all_market:
            raise ValueError(f"a {self.kind} stream needs a symbol")
        if self.speed not in form.speeds:
            raise ValueError(_no_such_speed(self.kind, self.speed))
        if self.levels not in (_LEVELS if self.kind is StreamKind.PARTIAL_DEPTH else (0,)):
            raise ValueError(f"{self.kind} with {self.levels} levels: partial depth has 5, 10 or 20 levels, nothing else any")
        if self.interval not in (INTERVALS if self.kind in _KLINES else ("",)):
            raise ValueError(f"no kline interval {self.interval!r}: one of {', '.join(INTERVALS)}")
        if self.contract not in (CONTINUOUS_CONTRACTS if self.kind is StreamKind.CONTINUOUS_KLINE else ("",)):
            raise ValueError(f"no continuous contract {self.contract!r}: one of {', '.join(CONTINUOUS_CONTRACTS)}")

    def __str__(self) -> str:
        form = _FORMS[self.kind]
        tail = f"@{self.speed}" if self.speed else ""
        if not self.subject:
            return form.all_market + tail
        if self.kind is StreamKind.CONTINUOUS_KLINE:
            return f"{self.subject}_{self.contract}@{form.channel}{self.interval}"
        return f"{self.subject}@{form.channel}{self.levels or ''}{self.interval}{tail}"

    @property
    def symbol(self) -> str:
        """The subject as payloads print it: `btcusdt` is `BTCUSDT`; letters beyond ASCII stay as they are."""
        return upper(self.subject)

    @property
    def period_ms(self) -> int:
        """Milliseconds between two messages of this stream; 0 when it speaks only as things happen."""
        if not self.subject and self.kind in _ALL_MARKET_PERIODS:
            return _ALL_MARKET_PERIODS[self.kind]
        form = _FORMS[self.kind]
        return form.periods[form.speeds.index(self.speed)]

    @classmethod
    def of(cls, symbol: str, channel: str) -> StreamName:
        """The stream of a `symbol` in any case and a channel as configurations write it: `depth@100ms`, `kline_1m`.

        A channel that begins with `!`, and `tradingSession`, are all-market streams and take no symbol.
        Raises `ValueError` when there is no such stream.
        """
        if is_all_market(channel):
            return parse(channel)
        if channel.startswith("continuousKline_"):
            raise ValueError("write the contract with it: perpetual@continuousKline_1m")
        contract, at, rest = channel.partition("@")
        if at and contract in CONTINUOUS_CONTRACTS and rest.startswith("continuousKline_"):
            return parse(f"{lower(symbol)}_{contract}@{rest}")
        return parse(f"{lower(symbol)}@{channel}")


def is_all_market(channel: str) -> bool:
    """Whether a channel of a configuration stands for the whole market."""
    return channel.startswith("!") or channel == _FORMS[StreamKind.TRADING_SESSION].all_market


def lower(symbol: str) -> str:
    """ASCII letters in lower case, all others untouched (protocol.md 4.1)."""
    return symbol.translate(_LOWER)


def upper(subject: str) -> str:
    """ASCII letters in upper case, all others untouched."""
    return subject.translate(_UPPER)


@lru_cache(maxsize=8192)
def parse(name: str) -> StreamName:
    """The stream that `name` names. Raises `ValueError` for a name that the venue would acknowledge and never serve."""
    found = _read(name)
    if str(found) != name:
        raise ValueError(f"no stream {name!r}: did you mean {str(found)!r}?")
    return found


def _read(name: str) -> StreamName:
    for kind, form in _FORMS.items():
        if form.all_market and (name == form.all_market or name.startswith(f"{form.all_market}@")):
            return StreamName(kind, speed=name[len(form.all_market) + 1 :])
    subject, at, channel = name.partition("@")
    if not at or not subject:
        raise ValueError(f"no stream {name!r}: <symbol>@<channel> or an all-market name such as !ticker@arr")
    base, _, speed = channel.partition("@")
    if base.startswith("kline_"):
        return _plain(StreamName(StreamKind.KLINE, subject, interval=base[6:]), speed)
    if base.startswith("continuousKline_"):
        return _plain(_continuous(subject, base[16:]), speed)
    if match := re.fullmatch(r"depth(\d+)", base):
        return StreamName(StreamKind.PARTIAL_DEPTH, subject, speed, levels=int(match[1]))
    for kind, form in _FORMS.items():
        if form.channel == base and kind is not StreamKind.PARTIAL_DEPTH:
            return StreamName(kind, subject, speed)
    raise ValueError(f"no channel {base!r}")


def _continuous(subject: str, interval: str) -> StreamName:
    for contract in CONTINUOUS_CONTRACTS:
        if subject.endswith(f"_{contract}"):
            pair = subject[: -len(contract) - 1]
            return StreamName(StreamKind.CONTINUOUS_KLINE, pair, interval=interval, contract=contract)
    raise ValueError(f"{subject!r} names no pair and contract such as btcusdt_perpetual")


def _plain(name: StreamName, speed: str) -> StreamName:
    if speed:
        raise ValueError(_no_such_speed(name.kind, speed))
    return name


def _no_such_speed(kind: StreamKind, speed: str) -> str:
    if speed == "250ms":
        return "the venue acknowledges @250ms and then stays silent: 250 ms is the speed without a suffix"
    known = ", ".join(f"@{speed}" if speed else "no suffix" for speed in _FORMS[kind].speeds)
    return f"no speed @{speed} for {kind}: {known}"
