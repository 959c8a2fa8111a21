"""A backtest: the bot of a configuration on virtual time, from the first event of its market to the last.

It is the pump with another end: the same engine, and the embedded exchange with its matching, fees, funding, margin and refusals.
Nothing opens a socket, and no time passes but the market's. Equal files give equal results, in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, setcontext
from pathlib import Path
from typing import Any, Final

import attrs

from coldframe.config.load import Loaded
from coldframe.config.schema import Config, JournalTable
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount
from coldframe.data.recording_file import RecordingFile, line_of_frame
from coldframe.enums import PositionMode
from coldframe.errors import ColdframeError, ConfigError
from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.matching import QueueModel
from coldframe.exchange.recording_info import RecordingInfo
from coldframe.exchange_server.recording import backtest_market
from coldframe.model.effects import AppendJournal, Level, LinkKind, Log
from coldframe.model.inputs import StopAsked
from coldframe.runtime.build import Bot, build, money, read
from coldframe.runtime.made_of import about_backtest
from coldframe.runtime.pump import START_MS, Latency, Pump, market_of
from coldframe.runtime.report import RunEnd, run_summary
from coldframe.runtime.venues import listed_symbols
from coldframe.trio_io.error_text import reason_of
from coldframe.trio_io.journal_chain import Entry
from coldframe.trio_io.journalfile import JournalFile
from coldframe.units import NS_PER_MS, NS_PER_S, ZERO, arithmetic
from coldframe.wire.recording import snapshot_line
from coldframe.wire.rest import Answer

#: The path of a depth snapshot.
DEPTH_PATH: Final = "/fapi/v1/depth"
#: The exchange is there so long before the first event of a recording (milliseconds): the bot has logged on and subscribed by then.
LEAD_MS: Final = 2_000
#: After the end of the market, how long the bot may still work on what it brought (seconds).
_DRAIN_S: Final = 0.5
#: What a strategy's summary says of its profit before fees.
_GAINS: Final = ("realized_pnl", "unrealized_pnl", "funding")
#: So many rows of the journal are written at once.
_ROWS_AT_ONCE: Final = 1_000
#: How far the virtual clock goes between two looks at whether to stop, and two reports of progress (seconds).
_SLICE_S: Final = 1.0


@attrs.frozen(kw_only=True)
class Preset:
    """Assumptions that belong together."""

    latency: Latency
    queue_model: QueueModel


#: What may be assumed of the exchange. The figures are chosen, not measured: a bot beside the exchange, one in its region, one on
#: another continent.
PRESETS: Final[Mapping[str, Preset]] = {
    "optimistic": Preset(latency=Latency(feed_ms=1, entry_ms=1, answer_ms=1), queue_model=QueueModel.AHEAD),
    "realistic": Preset(latency=Latency(feed_ms=5, entry_ms=10, answer_ms=10), queue_model=QueueModel.EVENLY),
    "pessimistic": Preset(latency=Latency(feed_ms=100, entry_ms=120, answer_ms=120), queue_model=QueueModel.BEHIND),
}
USUAL: Final = "realistic"


@attrs.frozen(kw_only=True)
class BacktestOptions:
    """What the command line adds to a configuration. `for_s` None: until the market ends."""

    for_s: float | None = None
    latency: Latency = PRESETS[USUAL].latency
    queue_model: QueueModel = PRESETS[USUAL].queue_model
    #: The bot starts and ends at these times of a recording (epoch ms); None: with it.
    from_ms: int | None = None
    to_ms: int | None = None
    #: And so long after that start.
    start_after_s: float = 0
    #: Keeps the journal of the run in this file; it must not be there yet.
    journal: Path | None = None
    #: Writes what the bot hears of the market to this recording.
    record: Path | None = None


class BacktestObserver:
    """What looks at a backtest. This one looks away."""

    def log(self, line: Log, at_ns: int) -> None:
        """A line for people, at a time of the market."""

    def progress(self, virtual_ns: int, events: int) -> None:
        """How much of the market has passed, and how many events it has brought; about once a second of market time."""

    def stopping(self) -> bool:
        """Whether to stop here: asked as often as progress is told."""
        return False


def read_backtest(path: Path, recording: Path | None, for_s: float | None = None) -> Bot:
    """The bot of a configuration, for a backtest: on the embedded venue, on paper, without a journal of its own.

    A bot of a real venue needs a `recording`, which takes the place of that venue's streams; the synthetic market, which never
    ends, needs a time `for_s` that it is to last. Raises `ConfigError`.
    """
    changes: dict[str, Any] = {"recording": str(recording), "market": "recording"} if recording is not None else {}
    loaded = in_backtest(read(path, **changes))
    settings = loaded.config.venue.embedded
    if settings.market != "recording" and for_s is None:
        raise ConfigError(f"{path}: the synthetic market does not end by itself: --for 1h, or a recording: --recording FILE")
    return build(loaded, listed_symbols(settings))


def in_backtest(loaded: Loaded) -> Loaded:
    """The same configuration for a backtest: it trades on paper, whatever it does elsewhere; strategies, risk and streams stay."""
    config = loaded.config
    settings = config.venue.embedded
    if config.venue.environment != "embedded" and settings.market != "recording":
        text = f'environment = "{config.venue.environment}": a backtest needs a recording of its market: --recording FILE'
        raise ConfigError(f"{loaded.source.path}: {text}")
    return attrs.evolve(loaded, config=_evolved(config, settings))


def _evolved(config: Config, settings: Settings) -> Config:
    accounts = settings.accounts
    if config.venue.environment != "embedded":
        accounts = [VenueAccount(name="backtest", hedge_mode=config.orders.position_mode == PositionMode.HEDGE)]
    embedded = attrs.evolve(settings, accounts=accounts, speed="1")
    venue = attrs.evolve(config.venue, environment="embedded", embedded=embedded)
    orders = attrs.evolve(config.orders, mode="paper")
    return attrs.evolve(config, venue=venue, orders=orders, journal=JournalTable())


@attrs.frozen
class _Market:
    """The market of a backtest, when its exchange's clock begins, and what of it is made up."""

    source: MarketSource
    start_ms: int
    made_up: tuple[str, ...]
    #: What is wrong with the recording, in one line each.
    notes: tuple[str, ...] = ()


def _market_of(settings: Settings, options: BacktestOptions) -> _Market:
    if settings.market != "recording":
        if options.from_ms is not None or options.to_ms is not None:
            raise ConfigError("--from and --to are times of a recording; the synthetic market has none: --for 1h")
        return _Market(market_of(settings), START_MS, ("everything: the synthetic market",))
    source, info, begins_ms = backtest_market(settings)
    from_ms = begins_ms if options.from_ms is None else options.from_ms
    _check_times(info, options)
    start_ms = from_ms + round(options.start_after_s * 1_000) - LEAD_MS
    unmarked = [symbol for symbol in source.markets if not info.symbols[symbol].has_marks]
    untraded = [symbol for symbol in source.markets if info.symbols[symbol].trade_name is None]
    made_up = [f"mark price of {symbol}: the middle of its book" for symbol in unmarked]
    made_up += [f"trades of {symbol}: none; an order rests until the book crosses it" for symbol in untraded]
    return _Market(source, start_ms, tuple(made_up), (info.note,) if info.note else ())


def _check_times(info: RecordingInfo, options: BacktestOptions) -> None:
    """Raises `ConfigError` for times in which nothing was recorded. The end of a long recording is not known beforehand."""
    first_ms, last_ms = info.first_ns // NS_PER_MS, info.last_ns // NS_PER_MS
    from_ms, to_ms = options.from_ms, options.to_ms
    lasts = f"{info.name} lasts from {_moment(first_ms)} " + (f"to {_moment(last_ms)}" if info.complete else "on")
    early = from_ms is not None and from_ms < first_ms // 1_000 * 1_000
    late = info.complete and from_ms is not None and from_ms >= last_ms
    if early or late:
        raise ConfigError(f"--from lies outside: {lasts}")
    if to_ms is not None and to_ms <= max(first_ms, from_ms or 0):
        raise ConfigError(f"--to lies before the start: {lasts}")


class Backtest(Pump):
    """One backtest. `play` runs it to its end."""

    def __init__(self, bot: Bot, options: BacktestOptions, observer: BacktestObserver) -> None:
        settings = attrs.evolve(bot.config.venue.embedded, queue_model=options.queue_model.value)
        self._market = _market_of(settings, options)
        super().__init__(settings, self._market.source, start_ms=self._market.start_ms, latency=options.latency)
        self._bot, self._options, self._observer = bot, options, observer
        self._journal: JournalFile | None = None
        self._rows: list[Entry] = []
        self._recording: RecordingFile | None = None

    # -- what the bot hears ---------------------------------------------------------------------------------------------

    def arrived(self, link: str, frames: Sequence[bytes]) -> None:
        socket = self.venue.sockets.get(link)
        if self._recording is not None and socket is not None and socket.kind is LinkKind.MARKET:
            lines = (line_of_frame(self.now_ns, frame) for frame in frames)
            self._recording.write(line for line in lines if line is not None)

    def answered(self, path: str, params: Mapping[str, str | int], answer: Answer) -> None:
        if self._recording is not None and path == DEPTH_PATH and answer.status == 200:
            self._recording.write([snapshot_line(self.now_ns, str(params["symbol"]), answer.body)])

    # -- what the bot does --------------------------------------------------------------------------------------------

    def recorded(self, row: AppendJournal) -> None:
        if self._journal is not None:
            self._rows.append((self.now_ns, row.kind, row.ref, row.body))
            if len(self._rows) >= _ROWS_AT_ONCE:
                self._write_rows()

    def _write_rows(self) -> None:
        if self._journal is not None and self._rows:
            self._journal.write(self._rows)
            self._rows.clear()

    def logged(self, line: Log) -> None:
        self._observer.log(line, self.now_ns)

    # -- the run ------------------------------------------------------------------------------------------------------

    def play(self) -> dict[str, Any]:
        """Runs the bot to its end. Returns the document that `coldframe backtest --json` prints.

        Raises `ConfigError` for a market that cannot be played, `ColdframeError` when the bot has to give up.
        """
        setcontext(arithmetic())
        for note in (*self._bot.notes, *self._market.notes):
            self.logged(Log(Level.WARNING, note))
        self._open_files()
        try:
            about = about_backtest(self._bot, self.settings, self._options.latency, self._options.queue_model)
            self.start(self._bot, [strategy.make_plugin() for strategy in self._bot.strategies], about)
            how = self._play_market()
            if self.running:
                self.give(StopAsked(how))
            self.passed(lambda: not self.running, self._bot.config.orders.grace_ms / 1_000 + 1)
            if self.failed is not None:
                raise ColdframeError(*self.failed.text.split("\n"))
            self._write_rows()
        finally:
            self._close_files()
        return self._document(how)

    def _open_files(self) -> None:
        path, record = self._options.journal, self._options.record
        if path is not None and path.exists():
            raise ConfigError(f"{path}: is there already; a backtest begins a journal of its own")
        try:
            self._recording = None if record is None else RecordingFile(record)
        except OSError as error:
            raise ConfigError(f"the recording {record} cannot be written: {reason_of(error)}") from None
        if path is not None:
            self._journal = JournalFile(path, self._bot.loaded.described)

    def _close_files(self) -> None:
        for file in (self._journal, self._recording):
            if file is not None:
                file.close()

    def _play_market(self) -> str:
        """Lets the market pass. Returns what ended it, in the word of the summary."""
        end_ns = self._end_ns()
        while not self._stands():
            left_s = _SLICE_S if end_ns is None else (end_ns - self.now_ns) / NS_PER_S
            if left_s <= 0:
                return "duration"
            self.passed(self._stands, min(_SLICE_S, left_s))
            self._observer.progress(self.now_ns - self._market.start_ms * NS_PER_MS, self.engine.market.payloads)
            if self._observer.stopping():
                return "signal"
        if not self.running:
            return "halt"
        self.passed(lambda: not self.running, _DRAIN_S)
        return "recording_end"

    def _end_ns(self) -> int | None:
        """When it ends by what was asked for; None for the end of the market."""
        for_s, to_ms = self._options.for_s, self._options.to_ms
        ends = [] if for_s is None else [self.now_ns + int(for_s * NS_PER_S)]
        return min([*ends, *([] if to_ms is None else [to_ms * NS_PER_MS])], default=None)

    def _stands(self) -> bool:
        """Whether the market or the bot has come to its end."""
        return not self.running or self._market.source.ended

    @property
    def lasted_s(self) -> float:
        """How much of the market's time has passed (seconds)."""
        return (self.now_ns - self._market.start_ms * NS_PER_MS) / NS_PER_S

    # -- what came of it ----------------------------------------------------------------------------------------------

    def _document(self, how: str) -> dict[str, Any]:
        elapsed_ns = self.now_ns - self._market.start_ms * NS_PER_MS
        summary = run_summary(self._bot, self.engine, RunEnd(how, elapsed_ns, self.finished or ""))
        return {
            **summary,
            "verb": "backtest",
            "from_ms": self._market.start_ms,
            "to_ms": self.now_ms,
            "market": self._bot.config.venue.embedded.recording or "synthetic",
            "assumptions": assumptions(self.settings, self._options),
            "made_up": list(self._market.made_up),
        }


_QUEUES: Final[Mapping[QueueModel, str]] = {
    QueueModel.BEHIND: "what is cancelled there stood behind it as long as anything did",
    QueueModel.EVENLY: "what is cancelled there stood evenly before and behind it",
    QueueModel.AHEAD: "what is cancelled there stood ahead of it as long as anything did",
}


def assumptions(settings: Settings, options: BacktestOptions) -> list[str]:
    """What a backtest supposes of the exchange, each in a sentence."""
    latency = options.latency
    ways = f"{latency.feed_ms} ms for market data, {latency.entry_ms} ms for requests, {latency.answer_ms} ms for answers"
    said = [f"everything travels for a constant time: {ways}"]
    if settings.market != "recording":
        return [*said, "the market is the synthetic one: its own orders and the bot's meet in one book, by price and time"]
    return [
        *said,
        "an order rests behind all that stands at its price; trades there use up what is ahead of it, and "
        + _QUEUES[options.queue_model],
        "the market does not react to the bot's orders; what they have taken from a level stays taken until the level changes",
    ]


def backtest_lines(document: dict[str, Any]) -> Sequence[str]:
    """What the summary of a run does not say, for people."""
    lines = [f"  market: {document['market']}, {_moment(document['from_ms'])} to {_moment(document['to_ms'])}"]
    lines += [f"  assumed: {text}" for text in document["assumptions"]]
    return lines + [f"  not in the data: {text}" for text in document["made_up"]]


def compared_lines(documents: Mapping[str, dict[str, Any]]) -> list[str]:
    """The same bot under several assumptions, side by side: money in US dollars, positions that are left open at their mark."""
    head = f"  {'assumed':<12}{'orders':>8}{'fills':>8}{'profit':>14}{'fees':>14}{'left':>14}"
    return [head, *(f"  {name:<12}{_row(document)}" for name, document in documents.items())]


def _row(document: Mapping[str, Any]) -> str:
    strategies, left = document["strategies"].values(), profit(document)
    fees = sum((Decimal(strategy["fees"]) for strategy in strategies), ZERO)
    counts = [sum(strategy[key] for strategy in strategies) for key in ("orders", "fills")]
    return f"{counts[0]:>8}{counts[1]:>8}" + "".join(f"{money(value):>14}" for value in (left + fees, fees, left))


def profit(document: Mapping[str, Any]) -> Decimal:
    """What all strategies of a summary have gained after fees, in US dollars; open positions count at their mark."""
    strategies = document["strategies"].values()
    gained = sum((Decimal(strategy[key]) for strategy in strategies for key in _GAINS), ZERO)
    return gained - sum((Decimal(strategy["fees"]) for strategy in strategies), ZERO)


def _moment(epoch_ms: int) -> str:
    """A moment as people read it: UTC, to the second."""
    return datetime.fromtimestamp(epoch_ms // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
