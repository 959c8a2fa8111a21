"""What a kill switch is asked over the control channel, and answers itself or hands to the engine; also in a run that stands."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from coldframe.model.effects import CommandAnswered
from coldframe.model.halting import Halt
from coldframe.model.inputs import HaltAsked, ResolveAsked, ResumeAsked
from coldframe.trio_io.control import VERSION, ControlAnswer, HaltRequest, ResolveRequest, ResumeRequest, ask_each
from coldframe.trio_io.kill_switch import ENGINE_PATIENCE_S
from coldframe.trio_io.runs import RunFolder
from tests.trio_io.kill_switch_rig import CANCEL, FILLED, PAUSE, running_kill_switch
from tests.trio_io.peer import PATIENCE_S
from tests.waiting import eventually, stand_until

#: Real threads, files and seconds.
pytestmark = pytest.mark.scene


async def test_a_halt_that_is_asked_for_is_carried_out_and_kept(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        async with rig.halting(Halt(PAUSE, "a", "why", 5)) as told:
            event = await rig.take(HaltAsked)
        assert (event.level, event.strategy, event.reason) == (PAUSE, "a", "why")
        (answer,) = told
        assert (answer.result, answer.text) == ("accepted", "halted: strategy a: pause (why)")
        assert [(row.level, row.strategy, row.reason) for row in answer.halts] == [(PAUSE, "a", "why")]
        assert answer.pid == os.getpid()
        assert rig.halt_file.read().halts == (Halt(PAUSE, "a", "why", 5),)
        async with rig.asking(ResumeRequest(VERSION, "a")) as told:
            assert (await rig.take(ResumeAsked)).strategy == "a"
        assert (told[0].text, told[0].halts) == ("strategy a: resumed", [])
        await eventually(lambda: not rig.halt_file.path.exists())
    # What it wrote itself it does not take for news.
    assert [type(event) for event in rig.heard] == [HaltAsked, ResumeAsked]


async def test_a_halt_of_a_strategy_that_the_run_lacks_says_so(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        for strategy, known in (("a", True), ("c", False), (None, True)):
            async with rig.halting(Halt(PAUSE, strategy)) as told:
                assert (await rig.take(HaltAsked)).strategy == strategy
            unknown = "this run has no strategy 'c'; it has a, b: the halt holds for the next start"
            assert (unknown in told[0].lines) is not known
            assert told[0].accepted


async def test_a_halt_is_never_made_a_lesser_one_by_asking(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        rig.write_halts(Halt(CANCEL, None, "first", 1))
        await rig.take(HaltAsked)
        async with rig.halting(Halt(PAUSE, None, "second", 2)) as told:
            assert (await rig.take(HaltAsked)).level is CANCEL
        assert [(row.level, row.reason) for row in told[0].halts] == [(CANCEL, "second")]
        await eventually(lambda: rig.halt_file.read().halts == (Halt(CANCEL, None, "second", 2),))


async def test_s2_a_run_that_stands_still_answers_within_a_second(tmp_path: Path) -> None:
    """The thread of the run sleeps, as in a hook that does not return: its kill switch answers meanwhile."""
    told: list[ControlAnswer | None] = []

    def ask(runs: RunFolder) -> None:
        told.extend(ask_each(runs.folder, list(runs.alive()), HaltRequest(VERSION, CANCEL), PATIENCE_S).values())
        told.extend(ask_each(runs.folder, list(runs.alive()), ResolveRequest(VERSION, "x", FILLED), PATIENCE_S).values())

    async with running_kill_switch(tmp_path, stuck_s=60) as rig:
        rig.heartbeat.beat()
        stand_until(lambda: rig.heartbeat.silent_s >= ENGINE_PATIENCE_S)
        asking = threading.Thread(target=ask, args=(rig.runs,))
        asking.start()
        asking.join(PATIENCE_S)  # Trio stands still
        assert rig.halt_file.read().halts == (Halt(CANCEL, None, "", 0),)
        halted, resolved = told
        assert halted is not None
        assert resolved is not None
        assert halted.accepted
        assert any(line.startswith("the bot does not answer") for line in halted.lines)
        assert (resolved.result, resolved.text) == ("unanswered", "the bot does not answer; it takes this in as soon as it does")


async def test_what_is_for_the_engine_is_handed_to_it(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        for accepted, result in ((True, "accepted"), (False, "refused")):
            async with rig.asking(ResolveRequest(VERSION, "cf.a.x.1", FILLED)) as told:
                event = await rig.hear(ResolveAsked)
                assert (event.client_order_id, event.outcome) == ("cf.a.x.1", "filled")
                rig.control.command_answered(CommandAnswered("of another run", True, "not this"))
                rig.control.command_answered(CommandAnswered(event.command, accepted, "in words"))
            assert (told[0].result, told[0].text) == (result, "in words")


async def test_a_halt_that_cannot_be_written_down_holds_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    async with running_kill_switch(folder) as rig:
        shutil.rmtree(folder)
        folder.touch()
        async with rig.halting(Halt(PAUSE)) as told:
            await rig.take(HaltAsked)
        (answer,) = told
        assert (answer.result, answer.failed) == ("accepted", True)
        assert any("halted, but a restart will not know" in line for line in answer.lines)
        async with rig.asking(ResumeRequest(VERSION)) as told:
            pass
        assert told[0].result == "refused"
        assert told[0].text.startswith("the halt stands: ")
        # The disk recovers, another halt is written: the one that is not in the file goes on holding, until it is resumed.
        folder.unlink()
        rig.write_halts(Halt(PAUSE, "b"))
        assert (await rig.take(HaltAsked)).strategy == "b"
        assert not any(isinstance(event, ResumeAsked) for event in rig.heard)
        async with rig.asking(ResumeRequest(VERSION)) as told:
            assert {(await rig.take(ResumeAsked)).strategy for _ in range(2)} == {None, "b"}
        assert (told[0].result, told[0].halts) == ("accepted", [])


async def test_the_channel_ends_with_the_run(tmp_path: Path) -> None:
    async with running_kill_switch(tmp_path) as rig:
        assert len(rig.runs.alive()) == 1
    assert rig.runs.alive() == {}
    assert list(rig.runs.folder.iterdir()) == []
