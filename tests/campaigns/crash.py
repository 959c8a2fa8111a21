"""`python -m tests.campaigns.crash --cycles 200`: a bot that is killed again and again, checked from the venue's own books.

Bot and venue are processes as a user starts them; between them stands a relay that sees what passes. In each cycle the bot is
started on the journal of the one before and killed (kill -9) at a moment that shows on the wire, named by `Point`, or at random;
every few cycles it ends in peace instead and says what it knows. Checked are, after every cycle: no client order id has reached
the venue twice, and the venue has taken none twice; every order that reached it stands in the journal; no fill stands in the
journal twice, or that the venue does not know; no position at the venue could have passed its limit. And after a peaceful end:
nothing is unknown or left at the venue, and fills and positions are the same in journal, summary and accounts. The
last line gives the figures; exit code 1 with violations.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs
import msgspec
import trio

from coldframe.errors import JournalDamaged
from tests.campaigns.history import History, position_of, strategy_of
from tests.campaigns.memory import Memory
from tests.campaigns.relay import Passing, Relay, Withheld
from tests.campaigns.setting import FAULTS, LIMITS, Sent, bot_config, venue_config
from tests.scenes.support import COLDFRAME, ROOT, VenueProcess, environment, venue

#: Every so many cycles the bot may end in peace.
_PEACE: Final = 5
_PEACEFUL_S: Final = 1.5
#: A moment that does not come is not waited for any longer; the bot is killed all the same.
_PATIENCE_S: Final = 10
#: How long a bot may take to end in peace: proof that an order was never accepted takes most of it.
_ENDING_S: Final = 75


class Point(Enum):
    """When the bot is killed."""

    STARTING = "while it starts"
    ORDER_WITHHELD = "an order was written and never arrived"
    ORDER_ARRIVED = "an order arrived"
    ANSWER_WITHHELD = "an order was answered, and the answer never arrived"
    ANSWER_ARRIVED = "the answer to an order arrived"
    FILL_WITHHELD = "a fill was told, and the report never arrived"
    FILL_ARRIVED = "the report of a fill arrived"
    CANCEL_ARRIVED = "a cancel arrived"
    AMENDMENT_ARRIVED = "an amendment arrived"
    RECONCILING = "its user stream was opened and not compared yet"
    RANDOM = "at random"


#: Points that are moments in time, with their range in seconds after the start; all others show on the wire.
_TIMES: Final = {Point.STARTING: (0.05, 0.8), Point.RANDOM: (0.8, 2.5)}
_WITHHELD: Final = frozenset({Point.ORDER_WITHHELD, Point.ANSWER_WITHHELD, Point.FILL_WITHHELD})
_METHODS: Final = {
    Point.ORDER_WITHHELD: "order.place",
    Point.ORDER_ARRIVED: "order.place",
    Point.CANCEL_ARRIVED: "order.cancel",
    Point.AMENDMENT_ARRIVED: "order.modify",
    Point.RECONCILING: "userDataStream.start",
}


@attrs.define
class Killer(Sent):
    """A watcher that kills the bot when a point has come for the n-th time."""

    point: Point = Point.RANDOM
    nth: int = 1
    process: trio.Process | None = None
    #: When the first order of the present cycle was placed.
    first_order_at: float | None = None
    ordered: trio.Event = attrs.field(factory=trio.Event)
    killed: bool = False
    _orders: set[object] = attrs.field(factory=set)

    def arm(self, point: Point, nth: int, process: trio.Process) -> None:
        """Begins a cycle."""
        self.point, self.nth, self.process, self.killed = point, nth, process, False
        self.first_order_at, self.ordered, self._orders = None, trio.Event(), set()

    def kill(self) -> None:
        """Kills the bot as power loss would, but for what the operating system has been given already."""
        if self.process is not None and not self.killed:
            self.killed = True
            self.process.kill()

    async def before(self, passing: Passing) -> None:
        """Kills at a point of something withheld; nothing passes after the end."""
        self._note(passing)
        if self.point in _WITHHELD and self._meets(passing):
            self.kill()
        if self.killed:
            raise Withheld

    async def after(self, passing: Passing) -> None:
        await Sent.after(self, passing)
        if self.point not in _WITHHELD and self._meets(passing):
            self.kill()

    def _note(self, passing: Passing) -> None:
        if passing.api and passing.to_venue:
            request = msgspec.json.decode(passing.text)
            if request["method"] == "order.place":
                self._orders.add(request["id"])
                self.first_order_at = self.first_order_at or trio.current_time()
                self.ordered.set()

    def _meets(self, passing: Passing) -> bool:
        if self.killed or not self._is_point(passing):
            return False
        self.nth -= 1
        return self.nth <= 0

    def _is_point(self, passing: Passing) -> bool:
        match self.point:
            case Point.ANSWER_WITHHELD | Point.ANSWER_ARRIVED:
                return passing.api and not passing.to_venue and msgspec.json.decode(passing.text)["id"] in self._orders
            case Point.FILL_WITHHELD | Point.FILL_ARRIVED:
                return passing.private and not passing.to_venue and b'"x":"TRADE"' in passing.text
            case Point.STARTING | Point.RANDOM:
                return False
            case _:
                wanted = _METHODS[self.point].encode()
                return passing.api and passing.to_venue and b'"' + wanted + b'"' in passing.text


@attrs.define
class Campaign:
    """All cycles of one campaign."""

    folder: Path
    served: VenueProcess
    chance: Random
    killer: Killer = attrs.field(factory=Killer)
    violations: dict[str, None] = attrs.field(factory=dict)
    points: Counter[Point] = attrs.field(factory=Counter)
    peaceful: int = 0
    missed: int = 0
    to_first_order_s: list[float] = attrs.field(factory=list)
    history: History = attrs.field(init=False)
    memory: Memory = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.history = History(self.folder / "accounts")
        self.memory = Memory(self.folder / "journal.db")

    async def run(self, cycles: int) -> None:
        """Runs them all; the last one always ends in peace."""
        relay = Relay(int(str(self.served.said["rest"]).rpartition(":")[2]), self.killer)
        async with trio.open_nursery() as nursery:
            port = await nursery.start(relay.serve)
            config = bot_config(self.folder, self.served, port)
            for number in range(1, cycles + 1):
                await self._cycle(number, config, in_peace=number % _PEACE == 0 or number == cycles)
            nursery.cancel_scope.cancel()

    async def _cycle(self, number: int, config: Path, *, in_peace: bool) -> None:
        timed = list(_TIMES)
        point = Point.RANDOM if in_peace else self.chance.choice([point for point in Point if point not in timed or number % 2])
        command = [*COLDFRAME, "run", str(config), "--live", "--plain", "--json"]
        env = environment({"CAMPAIGN_KEY": self.served.api_key, "HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder)})
        began = trio.current_time()
        out, err = self.folder / "bot.out", self.folder / "bot.err"
        with out.open("w") as said, err.open("w") as log:
            process = await trio.lowlevel.open_process(command, stdout=said, stderr=log, cwd=ROOT, env=env)
            never = 1_000_000
            self.killer.arm(point, never if in_peace else self.chance.randint(1, 4), process)
            if in_peace:
                await self._end_in_peace(process)
            else:
                await self._wait_for_the_end(process, point)
        if self.killer.first_order_at is not None:
            self.to_first_order_s.append(self.killer.first_order_at - began)
        self._check(number, point, in_peace=in_peace, code=process.returncode, out=out, err=err)

    async def _wait_for_the_end(self, process: trio.Process, point: Point) -> None:
        after_s = self.chance.uniform(*_TIMES[point]) if point in _TIMES else _PATIENCE_S
        with trio.move_on_after(after_s) as patience:
            await process.wait()
        if patience.cancelled_caught:
            self.missed += point not in _TIMES
            self.killer.kill()
            await process.wait()
        self.points[point] += 1

    async def _end_in_peace(self, process: trio.Process) -> None:
        with trio.move_on_after(_ENDING_S):
            await self.killer.ordered.wait()
            await trio.sleep(_PEACEFUL_S)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with trio.move_on_after(_ENDING_S) as patience:
            await process.wait()
        if patience.cancelled_caught:
            self._violated(f"the bot did not end within {_ENDING_S} s")
            process.kill()
            await process.wait()
        self.peaceful += 1

    # -- checks -------------------------------------------------------------------------------------------------------

    def _check(self, number: int, point: Point, *, in_peace: bool, code: int | None, out: Path, err: Path) -> None:
        where = f"cycle {number} ({'in peace' if in_peace else f'killed {point.value}'})"
        self.history.read()
        try:
            self.memory.read()
        except JournalDamaged as error:
            self._violated(f"{where}: {error}")
        self._check_orders(where)
        self._check_fills(where)
        # Its bots set no stops: a position that is left says so by its exit code.
        if code not in ((0, 4) if in_peace else (0, 4, -signal.SIGKILL)):
            self._violated(f"{where}: exit code {code}: {err.read_text()[-500:]}")
        elif in_peace:
            self._check_peace(where, json.loads(out.read_text()))

    def _check_orders(self, where: str) -> None:
        accepted = {order.client_id for order in self.history.orders.values() if strategy_of(order.client_id)}
        for name in {*self.killer.doubles, *self.history.double_orders}:
            self._violated(f"order sent or accepted twice: {name}")
        for name in accepted - set(self.killer.placed):
            self._violated(f"the venue has an order that was never sent: {name}")
        for name in set(self.killer.placed) - self.memory.orders:
            self._violated(f"{where}: an order reached the venue that does not stand in the journal: {name}")
        for (strategy, symbol), worst in self.history.worst.items():
            if strategy and worst > Decimal(LIMITS[strategy]):
                self._violated(f"exposure of {strategy} in {symbol} above its limit at the venue: {worst}")

    def _check_fills(self, where: str) -> None:
        for key, times in self.memory.fills.items():
            if times > 1:
                self._violated(f"{where}: a fill stands in the journal {times} times: {key}")
            if key not in self.history.trades:
                self._violated(f"{where}: a fill stands in the journal that the venue does not know: {key}")

    def _check_peace(self, where: str, summary: dict[str, Any]) -> None:
        """What bot, journal and accounts say when the bot has ended in good order."""
        kept = {order["order"] for order in summary["end"]["kept"]}
        live = [order.client_order_id for order in self.memory.past.live if order.client_order_id not in kept]
        if summary["orders"]["unknown"] or live:
            self._violated(f"{where}: {summary['orders']['unknown']} orders unknown, {len(live)} live in the journal")
        for strategy, report in summary["strategies"].items():
            fills = self.history.fills_of(strategy)
            for key in fills.keys() ^ self.memory.fills_of(strategy):
                self._violated(f"{where}: {'lost' if key in fills else 'strange'} fill of {strategy}: {key}")
            said = {symbol: Decimal(size) for symbol, size in report["position"].items() if Decimal(size)}
            written = {symbol: size for (owner, symbol), size in self.memory.past.held().items() if owner == strategy}
            theirs = position_of(fills.values())
            if not said == written == theirs:
                self._violated(f"{where}: position of {strategy}: {said}, in the journal {written}, by the venue's fills {theirs}")
            for order in self.history.open_orders(strategy):
                if order.client_id not in kept:
                    self._violated(f"{where}: still open at the venue: {order.client_id}")

    def _violated(self, text: str) -> None:
        self.violations.setdefault(text)

    def last_line(self, cycles: int) -> str:
        """The figures."""
        restart = sorted(self.to_first_order_s)[len(self.to_first_order_s) // 2] if self.to_first_order_s else 0
        return (
            f"crash: {cycles} cycles, {sum(self.points.values())} kills at {len(self.points)} kinds of points"
            f" ({self.missed} missed), {self.peaceful} peaceful ends, {sum(self.killer.placed.values())} orders,"
            f" {len(self.history.orders)} accepted, {len(self.history.trades)} fills, {self.memory.rows} rows in the journal,"
            f" {restart:.1f} s from start to first order, {len(self.violations)} violations"
        )


def campaign(cycles: int, seed: int, faults: str = "", keep: Path | None = None) -> tuple[str, list[str]]:
    """Runs it, on a venue with these faults, in the folder `keep` if one is given. Gives the last line, and the violations."""
    with tempfile.TemporaryDirectory() as spare:
        folder = (keep or Path(spare)).absolute()
        home = {"XDG_STATE_HOME": str(folder), "HOME": str(folder)}
        settings = venue_config(folder, faults, seed)
        with venue(settings, "--port", 0, "--state", folder / "accounts", env=home) as served:
            trial = Campaign(folder, served, Random(seed))
            trio.run(trial.run, cycles)
        return trial.last_line(cycles), list(trial.violations)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.crash", description=__doc__)
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--faults", choices=["none", *sorted(FAULTS)], default="none", help="what the venue does wrong besides")
    parser.add_argument("--keep", type=Path, help="an empty folder for journal and accounts, which stay there")
    given = parser.parse_args(arguments)
    last_line, violations = campaign(given.cycles, given.seed, FAULTS.get(given.faults, ""), given.keep)
    for violation in violations:
        sys.stdout.write(f"violated: {violation}\n")
    sys.stdout.write(f"{last_line}\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
