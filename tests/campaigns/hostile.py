"""`python -m tests.campaigns.hostile --minutes 20`: a bot on a venue that does wrong, checked all the time from the venue's books.

The bot lives in this process, the venue in one of its own; between them stands a relay that counts what really arrives. Checked
are: every client order id reaches the venue at most once, and no more orders than the bot counted; every fill in the accounts is
the bot's within a bounded time, and no other; the worst position that the venue's books allow stays within each strategy's limit;
whatever is unknown is resolved within the receive window and ten seconds (an order whose report may have been lost: within the
time more that its proof takes), and every order that stands in the venue's books is alive for the bot. Where the venue hides
orders for longer than a proof takes, an order may come back: that is counted, the symbol is halted, and a person resumes it now
and then. The last line gives the figures; exit code 1 with violations.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

import attrs
import trio

from coldframe.commands.halt import resume
from coldframe.core.engine import Engine
from coldframe.core.execution.absence_proof import BLIND_MARGIN_MS
from coldframe.core.state.orders import Order
from coldframe.model.effects import Level
from coldframe.model.orders import OrderState, Overlay
from coldframe.runtime.build import build, read
from coldframe.runtime.report import run_summary
from coldframe.runtime.run import Result, RunOptions, run
from coldframe.trio_io.clock import wall_text
from tests.campaigns.history import FillKey, History, position_of
from tests.campaigns.memory import Memory
from tests.campaigns.relay import Relay
from tests.campaigns.setting import FAULTS, LIMITS, RECV_WINDOW_MS, Sent, bot_config, venue_config
from tests.scenes.support import VenueProcess, venue

_LOOK_S: Final = 0.1
#: How long something may be unknown: the receive window, and ten seconds.
_UNKNOWN_S: Final = RECV_WINDOW_MS / 1000 + 10
#: How long a fill may stay untold: until the next light round of reconciliation has come through.
_UNTOLD_S: Final = 45
#: How long the venue hides an order at most, and how often a person resumes what came back and was halted.
_HIDDEN_S: Final = 40
_RESUME_S: Final = 10
_DOUBT: Final = (Overlay.CANCEL_UNKNOWN, Overlay.AMEND_UNKNOWN)


@attrs.define
class Log:
    """The bot's own log, in a file or nowhere."""

    file: TextIO | None = None
    engine: Engine | None = None
    begun: trio.Event = attrs.field(factory=trio.Event)

    def log(self, at_ns: int, level: Level, text: str) -> None:
        if self.file is not None:
            self.file.write(f"{wall_text(at_ns)} {level.value}: {text}\n")

    def started(self, engine: Engine) -> None:
        self.engine = engine
        self.begun.set()


@attrs.define
class Inspector:
    """Looks at bot and venue ten times a second, and writes down what is not as it must be."""

    engine: Engine
    history: History
    sent: Sent
    #: Whether the venue hides orders.
    hides: bool = False
    violations: dict[str, None] = attrs.field(factory=dict)
    longest_unknown_s: float = 0
    longest_untold_s: float = 0
    doubts: int = 0
    #: Orders that stand at the venue and are not alive for the bot, and since when.
    _given_up_since: dict[str, float] = attrs.field(factory=dict)
    _doubtful_since: dict[str, float] = attrs.field(factory=dict)
    _untold_since: dict[FillKey, float] = attrs.field(factory=dict)
    _told: set[FillKey] = attrs.field(factory=set)

    async def run(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self.look()
            await trio.sleep(_LOOK_S)

    def look(self) -> None:
        """One look."""
        self.history.read()
        self._look_at_orders()
        self._look_at_doubts()
        self._look_at_fills()
        for (strategy, symbol), worst in self.history.worst.items():
            if strategy and worst > Decimal(LIMITS[strategy]):
                self._violated(f"exposure of {strategy} in {symbol} above its limit at the venue: {worst}")

    def _look_at_orders(self) -> None:
        for name in {*self.sent.doubles, *self.history.double_orders}:
            self._violated(f"order sent or accepted twice: {name}")
        if sum(self.sent.placed.values()) > self.engine.state.tally.sent:
            self._violated("more orders reached the venue than the bot has sent")
        if self.engine.orders.incidents and not self.hides:
            self._violated("the bot had given up an order that lived")
        self._look_at_standing()

    def _look_at_standing(self) -> None:
        """Every order that stands at the venue is alive for the bot: at once, or where orders are hidden when a list shows it."""
        now, standing = trio.current_time(), {}
        for runtime in self.engine.runtimes.all:
            for order in self.history.open_orders(runtime.id):
                known = self.engine.orders.get(order.client_id)
                if known is None or not known.live:
                    standing[order.client_id] = self._given_up_since.get(order.client_id, now)
        self._given_up_since = standing
        for name, since in standing.items():
            if now - since > (_HIDDEN_S + _UNTOLD_S if self.hides else 0):
                self._violated(f"stands at the venue, and is not alive for the bot: {name}")

    def _patience_s(self, order: Order) -> float:
        """How long something may be unknown: longer where orders are hidden, and of an order whose report may have been lost."""
        if self.hides:
            return _UNKNOWN_S + _HIDDEN_S + _UNTOLD_S
        return _UNKNOWN_S + (BLIND_MARGIN_MS / 1000 if order.unreported else 0)

    def _look_at_doubts(self) -> None:
        now = trio.current_time()
        doubtful = {order.client_order_id: order for order in self.engine.orders.live if _in_doubt(order)}
        for name in [name for name in self._doubtful_since if name not in doubtful]:
            del self._doubtful_since[name]
        for name, order in doubtful.items():
            self.doubts += name not in self._doubtful_since
            lasted = now - self._doubtful_since.setdefault(name, now)
            self.longest_unknown_s = max(self.longest_unknown_s, lasted)
            if lasted > self._patience_s(order):
                self._violated(f"unknown for more than {self._patience_s(order):.0f} s: {name} ({order.state}, {order.overlay})")

    def _look_at_fills(self) -> None:
        now = trio.current_time()
        for key in self.history.trades.keys() - self._told:
            order = self._order_of(key)
            if order is not None and key in order.fill_keys:
                self._told.add(key)
                self._untold_since.pop(key, None)
                continue
            untold = now - self._untold_since.setdefault(key, now)
            self.longest_untold_s = max(self.longest_untold_s, untold)
            if untold > _UNTOLD_S:
                self._violated(f"fill untold for more than {_UNTOLD_S} s: {key}")

    def _order_of(self, key: FillKey) -> Order | None:
        return self.engine.orders.get(self.history.orders[key[2]].client_id)

    def compare_at_the_end(self) -> None:
        """What must be equal when the bot has ended."""
        self.look()
        for runtime in self.engine.runtimes.all:
            fills = self.history.fills_of(runtime.id)
            if runtime.account.holdings.fills != len(fills):
                self._violated(f"{runtime.id} has {runtime.account.holdings.fills} fills, the venue {len(fills)}")
            for symbol in runtime.plugin.symbols:
                mine, theirs = runtime.account.holdings.net(symbol), position_of(fills.values()).get(symbol, Decimal(0))
                if mine != theirs or theirs != self.history.positions.get(symbol, Decimal(0)):
                    self._violated(f"position of {runtime.id} in {symbol}: {mine}, by the venue's fills {theirs}")
            for order in self.history.open_orders(runtime.id):
                if order.client_id not in self._kept():
                    self._violated(f"still open at the venue: {order.client_id}")
        for order in self.engine.orders.live:
            if order.client_order_id not in self._kept():
                self._violated(f"still alive for the bot: {order.client_order_id} ({order.state}, {order.overlay})")
        for key in self._untold_since:
            self._violated(f"lost fill: {key}")

    def compare_journal(self, memory: Memory) -> None:
        """What the journal has kept of it."""
        memory.read()
        for order in memory.past.live:
            if order.client_order_id not in self._kept():
                self._violated(f"still alive in the journal: {order.client_order_id} ({order.state})")
        for runtime in self.engine.runtimes.all:
            for key in self.history.fills_of(runtime.id).keys() ^ memory.fills_of(runtime.id):
                self._violated(f"fill that journal and accounts do not share: {key}")
        for key in (key for key, times in memory.fills.items() if times > 1):
            self._violated(f"fill that stands in the journal twice: {key}")
        for name in set(self.sent.placed) - memory.orders:
            self._violated(f"an order reached the venue that does not stand in the journal: {name}")

    def _kept(self) -> set[str]:
        """The orders that the end has left on purpose, and names."""
        return {order.client_order_id for order in self.engine.ending.report().kept}

    def _violated(self, text: str) -> None:
        self.violations.setdefault(text)


def _in_doubt(order: Order) -> bool:
    return order.state in (OrderState.UNKNOWN, OrderState.NEEDS_OPERATOR) or order.overlay in _DOUBT


@attrs.frozen
class Outcome:
    """What a campaign has come to."""

    figures: Mapping[str, Any]
    violations: list[str]

    @property
    def last_line(self) -> str:
        figures = ", ".join(f"{value} {name}" for name, value in self.figures.items())
        return f"hostile: {figures}, {len(self.violations)} violations"


def campaign(minutes: float, faults: str, seed: int, log: TextIO | None = None) -> Outcome:
    """Runs it, and gives what came of it. `faults` is the text of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = {"XDG_STATE_HOME": str(folder / "state"), "HOME": name}
        settings = venue_config(folder, faults, seed)
        with venue(settings, "--port", 0, "--state", folder / "accounts", env=home) as served:
            os.environ |= {"CAMPAIGN_KEY": served.api_key, "XDG_STATE_HOME": home["XDG_STATE_HOME"]}
            return trio.run(partial(_campaign, folder, served, minutes, Log(log), hides="orders_hidden" in faults))


async def _campaign(folder: Path, served: VenueProcess, minutes: float, log: Log, *, hides: bool) -> Outcome:
    history, sent = History(folder / "accounts"), Sent()
    async with trio.open_nursery() as outside:
        relay = Relay(int(str(served.said["rest"]).rpartition(":")[2]), sent)
        plugin = await outside.start(relay.serve)
        config = bot_config(folder, served, plugin)
        bot = build(read(config), None, live_allowed=True)
        options = RunOptions(for_s=minutes * 60, signals=False)
        async with trio.open_nursery() as beside:
            beside.start_soon(_begin_looking, beside, log, history, sent, hides, found := [])
            if hides:
                beside.start_soon(_resume_now_and_then, config)
            result = await run(bot, options, log)
            beside.cancel_scope.cancel()
        outside.cancel_scope.cancel()
    inspector = found[0]
    inspector.compare_at_the_end()
    inspector.compare_journal(Memory(folder / "journal.db"))
    return Outcome(_figures(run_summary(bot, result.engine, result.ended), result, inspector), list(inspector.violations))


async def _resume_now_and_then(config: Path) -> None:
    """Orders that come back halt their symbols: a person looks, and resumes."""
    while True:
        await trio.sleep(_RESUME_S)
        await trio.to_thread.run_sync(resume, config, None, lambda document, lines: None)


async def _begin_looking(beside: trio.Nursery, log: Log, history: History, sent: Sent, hides: bool, found: list[Inspector]) -> None:
    await log.begun.wait()
    assert log.engine is not None
    found.append(Inspector(log.engine, history, sent, hides))
    beside.start_soon(found[0].run)


def _figures(summary: Mapping[str, Any], result: Result, inspector: Inspector) -> dict[str, Any]:
    return {
        "s": round(result.ended.elapsed_ns / 1e9),
        "orders": summary["orders"]["sent"],
        "accepted": len(inspector.history.orders),
        "amendments sent": inspector.sent.requests["order.modify"],
        "cancels sent": inspector.sent.requests["order.cancel"],
        "fills": len(inspector.history.trades),
        "reconnects": summary["links"]["reconnects"],
        "in doubt": inspector.doubts,
        "given up and back": inspector.engine.orders.incidents,
        "s longest doubt": round(inspector.longest_unknown_s, 1),
        "s longest untold fill": round(inspector.longest_untold_s, 1),
        "unknown at the end": summary["orders"]["unknown"],
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--faults", choices=sorted(FAULTS), default="usual")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--log", type=argparse.FileType("w"), help="where the bot's own log goes")
    given = parser.parse_args(arguments)
    outcome = campaign(given.minutes, FAULTS[given.faults], given.seed, given.log)
    for violation in outcome.violations:
        sys.stdout.write(f"violated: {violation}\n")
    sys.stdout.write(f"{outcome.last_line}\n")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
