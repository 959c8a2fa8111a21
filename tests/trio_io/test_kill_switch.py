"""The kill switch's thread beside a run: what it tells, what it holds back and until when, and how it names a run that stands
still."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
import trio

from coldframe.core.strategies.runtime import OnError
from coldframe.enums import PositionSide, Side
from coldframe.ids import OwnId
from coldframe.model.effects import Level, SendRequest
from coldframe.model.events import Started
from coldframe.model.halting import Halt
from coldframe.model.inputs import EmergencyOrderSent, HaltAsked, ResumeAsked, WeightSpent
from coldframe.plug.hookspecs import hookimpl
from coldframe.plug.strategy_plugin import StrategyPlugin
from coldframe.trio_io.clock import Clock, ThreadClock
from coldframe.trio_io.control import VERSION, ResumeRequest
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent, lifted, raised
from coldframe.trio_io.heartbeat import Heartbeat
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.kill_switch import KillSwitchThread
from tests.trio_io.kill_switch_rig import CANCEL, FLATTEN, PAUSE, running_kill_switch
from tests.trio_io.peer import PATIENCE_S
from tests.trio_io.test_kill_switch_orders import SELLS, Venue, working
from tests.trio_io.web import Told
from tests.waiting import eventually, stand_until


def request(method: str = "order.place", strategy: str = "a", number: int = 1, key: str = "newClientOrderId") -> SendRequest:
    return SendRequest("api.1", number, method, {key: str(OwnId(strategy, 1_700_000_000_000, number)), "symbol": "BTCUSDT"})


# -- what it tells ----------------------------------------------------------------------------------------------------


async def test_a_halt_of_the_file_is_told_and_its_end_too(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        rig.write_halts(Halt(PAUSE, "a", "one"), Halt(CANCEL, None, "all"))
        told = {(await rig.take(HaltAsked)).strategy for _ in range(2)}
        assert told == {"a", None}
        rig.write_halts(Halt(PAUSE, "a", "one"))
        assert (await rig.take(ResumeAsked)).strategy is None
        rig.lift()
        assert (await rig.take(ResumeAsked)).strategy == "a"
    numbers = [event.number for event in rig.heard if isinstance(event, HaltAsked | ResumeAsked)]
    assert numbers == sorted(set(numbers))
    assert [(record["ref"], record["level"], record["reason"]) for record in rig.records] == [
        ("a", "pause", "one"),
        ("", "cancel", "all"),
        ("", "none", ""),
        ("a", "none", ""),
    ]


async def test_what_holds_from_before_the_start_is_not_told_again(tmp_path: Path) -> None:
    halt_file = HaltFile(tmp_path / "halt.json")
    began = halt_file.change(lambda halts: raised(halts, Halt(PAUSE, None, "before")), "r")
    async with running_kill_switch(tmp_path, began) as rig:
        rig.halt_file.change(lambda halts: lifted(halts, None), "s")
        await rig.take(ResumeAsked)
    assert [type(event) for event in rig.heard] == [ResumeAsked]


async def test_resume_without_a_halt_is_still_passed_on(tmp_path: Path) -> None:
    """Limits halt as well, and only a resume ends what they have halted."""
    async with running_kill_switch(tmp_path) as rig:
        rig.halt_file.change(lambda halts: lifted(halts, None), "r", (None,))
        assert (await rig.take(ResumeAsked)).strategy is None
        async with rig.asking(ResumeRequest(VERSION)) as told:
            assert (await rig.take(ResumeAsked)).strategy is None
        assert (told[0].result, told[0].text, told[0].lines) == ("accepted", "all strategies: resumed", ["all strategies: resumed"])
        rig.write_halts(Halt(PAUSE, "a"))
        await rig.take(HaltAsked)
        rig.halt_file.change(lambda halts: lifted(halts, "b"), "s", ("b",))
        assert (await rig.take(ResumeAsked)).strategy == "b"
        rig.halt_file.change(lambda halts: lifted(halts, None), "t", (None,))
        assert {(await rig.take(ResumeAsked)).strategy for _ in range(2)} == {"a", None}


async def test_a_halt_asked_for_again_is_carried_out_again(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        for at_ms in (1, 2):
            rig.write_halts(Halt(PAUSE, None, "same", at_ms))
            await rig.take(HaltAsked)


async def test_p10_sigusr1_halts_all_and_writes_the_file(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        async with running_kill_switch(tmp_path, heed_signal=True) as rig:
            signal.pthread_kill(rig.kill_switch._thread.ident or 0, signal.SIGUSR1)
            told = await rig.take(HaltAsked)
            assert (told.level, told.strategy, told.reason) == (CANCEL, None, "SIGUSR1")
            await eventually(lambda: [halt.level for halt in rig.halt_file.read().halts] == [CANCEL])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def test_a_signal_halts_also_where_nothing_can_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        async with running_kill_switch(folder, heed_signal=True) as rig:
            shutil.rmtree(folder)
            tmp_path.joinpath("state").touch()
            signal.pthread_kill(rig.kill_switch._thread.ident or 0, signal.SIGUSR1)
            assert (await rig.take(HaltAsked)).level is CANCEL
            await rig.said("halted, but a restart will not know")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.scene
async def test_orders_are_cancelled_at_the_venue_and_paid_for(tmp_path: Path) -> None:
    venue = Venue({"BTCUSDT": ["cf.a.x.1"], "ETHUSDT": ["cf.b.x.1"]})
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work) as rig:
        rig.write_halts(Halt(PAUSE))
        await rig.take(HaltAsked)
        assert venue.asked == []
        async with rig.halting(Halt(CANCEL)) as told:
            await rig.take(HaltAsked)
        (line,) = told[0].lines
        assert line.startswith("no orders of the bot are open at the venue, ")
        assert venue.ordinary == {}
        assert (await rig.hear(WeightSpent)).weight == 8
        # Once more a moment later, for orders that were on their way.
        venue.ordinary["BTCUSDT"] = ["cf.a.x.2"]
        await eventually(lambda: not venue.ordinary)


async def test_what_could_not_be_carried_out_is_no_success(tmp_path: Path) -> None:
    venue = Venue({"BTCUSDT": ["cf.a.x.1"]})
    venue.faults["DELETE allOpenOrders"] = Told(b'{"code":-1001,"msg":"Internal error"}', 503)
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work) as rig:
        for fault, failed in ((True, True), (False, False)):
            if not fault:
                venue.faults.clear()
            async with rig.halting(Halt(CANCEL, None, f"{fault}")) as told:
                await rig.take(HaltAsked)
            (answer,) = told
            assert answer.failed is failed
            assert any("cancelling failed" in line for line in answer.lines) is failed


async def test_p6_a_disk_that_hangs_holds_no_cancel_up(tmp_path: Path) -> None:
    venue = Venue({"BTCUSDT": ["cf.a.x.1"]})
    gone = threading.Event()
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work, disk=lambda: gone.wait(PATIENCE_S)) as rig:
        async with rig.halting(Halt(CANCEL)) as told:
            await rig.take(HaltAsked)
            await eventually(lambda: not venue.ordinary)
            assert not gone.is_set()
            gone.set()
        assert told[0].accepted


@pytest.mark.parametrize("well", [True, False])
async def test_p11_only_own_orders_are_cancelled_after_a_run_broke_off(tmp_path: Path, well: bool) -> None:
    venue = Venue({"BTCUSDT": ["cf.a.x.1", "by-hand"]})
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work) as rig:
        await rig.kill_switch.end(well=well)
        assert venue.ordinary["BTCUSDT"] == (["cf.a.x.1", "by-hand"] if well else ["by-hand"])
        said = [text for _, text in rig.log]
        broken = "the run has broken off: its orders are cancelled, no orders of the bot are still open at the venue"
        assert said == ([] if well else [broken])


@pytest.mark.parametrize("keeps", [True, False])
async def test_o38_after_a_run_that_broke_off_a_stop_stays(tmp_path: Path, keeps: bool) -> None:
    venue = Venue({"BTCUSDT": ["cf.a.x.1"]}, {"BTCUSDT": ["cf.a.x.2"]}, {"cf.a.x.2": {**SELLS, "reduceOnly": True}})
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work, keeps_protective=keeps) as rig:
        rig.heartbeat.holds({("a", "BTCUSDT", PositionSide.BOTH): Decimal("0.5")})
        await rig.kill_switch.end(well=False)
        said = "\n".join(text for _, text in rig.log)
    assert venue.ordinary["BTCUSDT"] == []
    assert venue.algos["BTCUSDT"] == (["cf.a.x.2"] if keeps else [])
    assert ("kept at the venue: 1 orders of the bot that can only reduce an open position" in said) is keeps
    assert f"its orders are cancelled, no{' other' if keeps else ''} orders of the bot are still open at the venue" in said


async def test_run_that_begins_halted_cancels_orders_of_an_earlier_run(tmp_path: Path) -> None:
    venue = Venue({"BTCUSDT": ["cf.a.x.1"]})
    began = HaltFile(tmp_path / "halt.json").change(lambda _: (Halt(CANCEL, "a"),), "r")
    async with working(venue) as (work, _), running_kill_switch(tmp_path, began, work):
        await eventually(lambda: not venue.ordinary["BTCUSDT"])


async def test_flattening_is_left_to_an_engine_that_answers(tmp_path: Path) -> None:
    venue = Venue()
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work) as rig:
        rig.heartbeat.holds({("a", "BTCUSDT", PositionSide.BOTH): Decimal("0.5")})
        async with rig.halting(Halt(FLATTEN, "a", "why")) as told:
            first, second = await rig.take(HaltAsked), await rig.take(HaltAsked)
        assert (first.level, second.level, second.reason) == (CANCEL, FLATTEN, "why")
        assert "the bot brings its positions to zero" in told[0].lines
    assert venue.calls("POST") == []


async def test_o34_a_flatten_without_a_position_says_so(tmp_path: Path) -> None:
    venue = Venue()
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work) as rig:
        async with rig.halting(Halt(FLATTEN, "a")) as told:
            await rig.take(HaltAsked)
            await rig.take(HaltAsked)
        assert "no position of the bot is open: nothing to flatten" in told[0].lines
    assert venue.calls("POST") == []


async def test_p5_kill_switch_flattens_when_the_engine_has_no_journal(tmp_path: Path) -> None:
    venue = Venue()
    async with working(venue) as (work, _), running_kill_switch(tmp_path, work=work, writes=False) as rig:
        rig.heartbeat.holds({("a", "BTCUSDT", PositionSide.BOTH): Decimal("0.5")})
        async with rig.halting(Halt(FLATTEN, "a")) as told:
            await rig.take(HaltAsked)
            ordered = await rig.hear(EmergencyOrderSent)
            assert (ordered.symbol, ordered.side, ordered.quantity) == ("BTCUSDT", Side.SELL, Decimal("0.5"))
            assert (await rig.take(HaltAsked)).level is FLATTEN
        assert told[0].accepted
        assert "the bot brings its positions to zero" not in told[0].lines
    assert len(venue.calls("POST")) == 1


# -- what it holds back -----------------------------------------------------------------------------------------------


async def test_guard_refuses_orders_from_the_halt_on_but_not_cancels(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        assert rig.kill_switch.guard(request()) is None
        rig.write_halts(Halt(PAUSE, "a", "why"))
        event = await rig.hear(HaltAsked)
        for method, key in (
            ("order.place", "newClientOrderId"),
            ("order.modify", "origClientOrderId"),
            ("algoOrder.place", "clientAlgoId"),
        ):
            assert rig.kill_switch.guard(request(method, key=key)) == "halted: strategy a: pause (why)"
            assert rig.kill_switch.guard(request(method, "ab", key=key)) is None
        for method in ("order.cancel", "order.status", "session.logon", "userDataStream.ping"):
            assert rig.kill_switch.guard(request(method, key="origClientOrderId")) is None
        rig.kill_switch.taken(event.number, 40)
        # What was made before and still waits to be written is void; what is made from now on is the engine's own affair.
        assert rig.kill_switch.guard(request(number=40)) == "halted since it was made"
        assert rig.kill_switch.guard(request(strategy="b", number=40)) is None
        assert rig.kill_switch.guard(request(number=41)) is None


@pytest.mark.scene
async def test_halt_lifted_before_the_engine_took_it_refuses_no_order(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        rig.write_halts(Halt(PAUSE))
        await rig.hear(HaltAsked)
        assert rig.kill_switch.guard(request()) is not None
        rig.lift()
        await rig.hear(ResumeAsked)
        assert rig.kill_switch.guard(request()) is None


# -- what it sees -----------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Sleeper:
    """Stands still in its first hook until the log says something."""

    log: list[tuple[Level, str]]

    @hookimpl
    def on_start(self, event: Started, view: object) -> None:
        stand_until(lambda: self.log)


async def test_s2_stuck_run_is_reported_once_with_its_plugin_and_stack(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path, stuck_s=0.3) as rig:
        plugin = StrategyPlugin("sleepy", ("BTCUSDT",), OnError.QUARANTINE, Sleeper(rig.log))
        rig.heartbeat.beat()
        plugin.call("on_start", Started(0), view=None)  # type: ignore[arg-type]
        named = [text for _, text in rig.log]
        assert len(named) == 1
        assert "strategy sleepy in on_start: waiting.py:" in named[0]
        assert " on_start < " in named[0]
        rig.heartbeat.beat()
        await rig.said("the run goes on")


async def test_run_stuck_outside_plugins_is_reported_without_a_plugin(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path, stuck_s=0.2) as rig:
        rig.heartbeat.beat()
        stand_until(lambda: rig.log)
        (line,) = [text for _, text in rig.log]
    assert "the run has stood still for" in line
    assert " in strategy " not in line


async def test_a_kill_switch_that_fails_does_not_fail_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hooked: list[object] = []
    monkeypatch.setattr("threading.excepthook", lambda args: hooked.append(args.exc_type))
    clock = Clock()
    halt_file = HaltFile(tmp_path / "halt.json")

    def log(level: Level, text: str) -> None:
        raise ZeroDivisionError

    make: Callable[..., KillSwitchThread] = KillSwitchThread
    kill_switch = make(halt_file, HaltFileContent(), Heartbeat(), ThreadClock(clock), None, log, stuck_s=0.05, heed_signal=False)
    with trio.fail_after(PATIENCE_S):
        kill_switch.begin(Inbox(clock.now_ns))
        await kill_switch.broken.wait()
        await kill_switch.end()
    assert hooked == [ZeroDivisionError]
