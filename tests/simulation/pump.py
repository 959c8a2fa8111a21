"""The pump: engine and embedded exchange in one plain loop over a heap of times.

What takes a campaign minutes takes seconds here, and the same arguments give the same world. A test makes a `Pump`, lets virtual
time pass (`run`, `until`), does what another client would (`venue.by_hand`), moves the market (`market`), cuts links
(`venue.cut`), kills and restarts the bot, and looks at both sides' books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import attrs
import msgspec

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.engine import Engine, EngineSetup
from coldframe.core.state.journal_codec import RestoredState, fold
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.strategies.runtime import OnError
from coldframe.exchange.market_source import MarketSource
from coldframe.model import effects as do
from coldframe.model import inputs as told
from coldframe.model.instruments import Instruments
from coldframe.model.journal import Row
from coldframe.plug.strategy_plugin import StrategyPlugin
from coldframe.runtime import pump
from coldframe.runtime.build import build, read
from coldframe.runtime.engine_setup import of_configuration
from coldframe.runtime.pump import START_MS, TRAVEL_MS, TURN_MS, Latency, market_of
from coldframe.runtime.venues import listed_symbols
from coldframe.wire.codec import Census, decode
from coldframe.wire.names import StreamName
from coldframe.wire.reference import ExchangeInfo
from tests.simulation.still import StillMarket
from tests.simulation.venue import VirtualVenue

__all__ = ["START_MS", "Pump", "Trader", "market_of"]


@attrs.frozen(kw_only=True)
class Trader:
    """A strategy of the bot; `make` makes the plugin anew for every run."""

    id: str
    make: Callable[[], object]
    symbols: Sequence[str] = ("BTCUSDT",)
    budget: Budget = Budget()
    on_error: OnError = OnError.QUARANTINE
    overlays: Callable[[], Sequence[object]] = tuple
    #: Whether `make` makes the whole plugin, as a configuration describes it.
    plugged: bool = False

    def make_plugin(self) -> StrategyPlugin:
        made = self.make()
        if self.plugged:
            assert isinstance(made, StrategyPlugin)
            return made
        return StrategyPlugin(self.id, self.symbols, self.on_error, made, self.overlays())


class Pump(pump.Pump):
    """One world: a bot, its venue, and the time. `setup` are further fields of `EngineSetup` (risk, trading, hedge, ...)."""

    venue: VirtualVenue
    market: Any

    def __init__(
        self,
        traders: Sequence[Trader],
        *,
        settings: Settings | None = None,
        market: MarketSource | None = None,
        channels: Sequence[str] = ("depth@100ms", "markPrice@1s"),
        streams: Sequence[StreamName] | None = None,
        seed: int = 7,
        travel_ms: int = TRAVEL_MS,
        turn_ms: int = TURN_MS,
        **setup: Any,
    ) -> None:
        symbols = sorted({symbol for trader in traders for symbol in trader.symbols})
        given = settings or Settings(seed=seed)
        super().__init__(
            given,
            market or StillMarket(symbols, START_MS, given.funding_interval_s),
            latency=Latency(feed_ms=travel_ms, entry_ms=travel_ms, answer_ms=travel_ms),
            turn_ms=turn_ms,
        )
        self.traders, self._setup, self._streams = traders, setup, streams
        self._channels, self._symbols, self._seed = channels, symbols, seed
        #: Everything the bot has recorded, over all its runs, as a journal would hold it.
        self.rows: list[Row] = []
        #: How many of them a journal may hold when the process dies now: one of these. What adds risk waits for its rows.
        self.rows_safe = [0]
        self.log: list[str] = []
        #: What left the bot, in order: method, or verb and path, with parameters.
        self.sent: list[tuple[str, Mapping[str, object]]] = []
        self.steps = 0
        #: Which frames of the user-data stream get lost on their way.
        self.loses: Callable[[bytes], bool] = lambda frame: False
        #: Called after every step of the engine: where a world's invariants are checked.
        self.watchers: list[Callable[[], None]] = []
        self._born(RestoredState())
        self.later(turn_ms, self.turn)

    def _venue(self) -> VirtualVenue:
        return VirtualVenue(self.settings, self.market, lambda: self.now_ms, self.later)

    def forget_everything(self) -> None:
        """The venue's process ends and another one takes its place: every link falls, and its books begin anew."""
        self.venue.vanish("connection refused")
        self.market = StillMarket(self._symbols, self.now_ms, self.settings.funding_interval_s)
        self.venue = self._venue()

    @classmethod
    def of_config(cls, path: Path, **more: Any) -> Pump:
        """The bot of a configuration file for the embedded venue, with the market that it names."""
        loaded = read(path)
        settings = loaded.config.venue.embedded
        bot = build(loaded, listed_symbols(settings))
        setup = of_configuration(bot)
        traders = [
            Trader(
                id=strategy.table.id,
                symbols=strategy.symbols,
                budget=setup["budgets"][strategy.table.id],
                make=strategy.make_plugin,
                plugged=True,
            )
            for strategy in bot.strategies
        ]
        given = {"settings": settings, "market": market_of(settings), "seed": settings.seed, **setup}
        return cls(traders, **{**given, **more})

    def run(self, seconds: float) -> Pump:
        """Lets virtual time pass."""
        self.passed(lambda: False, seconds)
        return self

    def until(self, condition: Callable[[], bool], within_s: float = 60, *, must: bool = True) -> None:
        """Lets virtual time pass until the condition holds; with `must`, it is an error when it never does."""
        holds = self.passed(condition, within_s)
        assert holds or not must, f"not within {within_s} s; the last lines: {self.log[-8:]}"

    # -- the bot's life -----------------------------------------------------------------------------------------------

    def _born(self, past: RestoredState) -> Engine:
        """Makes the engine of one run and starts it."""
        info = self._exchange_info()
        plugins = [trader.make_plugin() for trader in self.traders]
        names = [StreamName.of(symbol, channel) for symbol in self._symbols for channel in self._channels]
        setup = EngineSetup(
            **{
                "streams": self._streams or names,
                "instruments": Instruments.of(info.symbols),
                "plugins": plugins,
                "budgets": {trader.id: trader.budget for trader in self.traders},
                "risk": RiskLimits(),
                "rate_limits": info.rate_limits,
                "chance": Random(f"{self._seed}:{self.life + 1}").random,
                "epoch_ms": max(self.now_ms, past.epoch_ms + 1),
                "orders_on": True,
                "past": past,
                **self._setup,
            }
        )
        self.begin(setup)
        return self.engine

    def _step(self, event: told.Input, lane: told.Lane) -> None:
        self.steps += 1
        super()._step(event, lane)
        for watch in self.watchers:
            watch()

    def received(self, link: str, frame: bytes) -> None:
        socket = self.venue.sockets.get(link)
        if socket is None or socket.kind is not do.LinkKind.PRIVATE or not self.loses(frame):
            super().received(link, frame)

    def stepped(self, stamped: told.Stamped | None, effects: Sequence[do.Effect]) -> None:
        rows = len(self.rows) + sum(isinstance(effect, do.AppendJournal) for effect in effects)
        if any(isinstance(effect, do.SendRequest) and effect.risky for effect in effects):
            self.rows_safe.clear()
        self.rows_safe.append(rows)

    def asked(self, what: str, params: Mapping[str, str | int]) -> None:
        self.sent.append((what, dict(params)))

    def recorded(self, row: do.AppendJournal) -> None:
        self.rows.append(
            Row(len(self.rows) + 1, self.now_ns, row.kind, row.ref, msgspec.json.decode(msgspec.json.encode(row.body)))
        )

    def logged(self, line: do.Log) -> None:
        self.log.append(f"{line.level}: {line.text}")

    def _exchange_info(self) -> ExchangeInfo:
        """The contracts. A start in a row of many may be asked to wait, and waits."""
        while True:
            answer = self.venue.by_hand("GET", "/fapi/v1/exchangeInfo", {})
            if answer.status == 200:
                return decode(ExchangeInfo, answer.body, Census())
            self.run(int(answer.headers["retry-after"]))

    def stop(self, reason: str = "duration", within_s: float = 60) -> None:
        """Asks the run to end and waits until it has."""
        self.give(told.StopAsked(reason))
        self.until(lambda: self.finished is not None, within_s)

    def kill(self) -> None:
        """The bot's process dies: its links close, its timers and everything on its way to it are gone."""
        self.life += 1
        for link in list(self.venue.sockets):
            self.venue.close(link)
        self._timers.clear()
        self._arriving.clear()

    def restart(self, rows: int | None = None, **setup: Any) -> Engine:
        """Begins another run on the journal of the ones before, or on so many of its rows.

        `setup` changes fields of `EngineSetup` from here on.
        """
        self.kill()
        if rows is not None:
            del self.rows[rows:]
        self.rows_safe = [len(self.rows)]
        self._setup = {**self._setup, **setup}
        return self._born(fold(self.rows))

    # -- what both sides hold -----------------------------------------------------------------------------------------

    def position(self, strategy: str, symbol: str = "BTCUSDT") -> Decimal:
        """What a strategy believes to hold."""
        return self.engine.accounts[strategy].net(symbol)

    def told(self, text: str) -> list[str]:
        """The lines of the log that contain a text."""
        return [line for line in self.log if text in line]
