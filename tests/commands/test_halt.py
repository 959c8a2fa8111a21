"""`halt`, `resume`, `orders resolve` where a run accepts, refuses, hangs or is absent: who writes the halt file, what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from coldframe.commands import halt as verbs
from coldframe.commands import orders
from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.errors import ConfigError, UsageError
from coldframe.exits import Exit
from coldframe.model.halting import Halt, HaltLevel
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import halt_file_of, runs_of
from coldframe.trio_io.control import VERSION, ControlAnswer, HaltRequest, HaltRow, ResolveRequest, ResumeRequest
from coldframe.trio_io.halt_file import HaltFile
from coldframe.trio_io.runs import RunFolder
from tests.trio_io.control_rig import Served, serving

ORDER: Final = "cf.a.x.1"
ACCEPTED: Final = ControlAnswer(VERSION, "accepted", "in short", ["in detail"], pid=7)
REFUSED: Final = ControlAnswer(VERSION, "refused", "not so", pid=8)
UNANSWERED: Final = ControlAnswer(VERSION, "unanswered", "the bot does not answer", pid=9)


@attrs.define
class Bot:
    """A configuration, what commands about it print, and how long they wait for an answer."""

    path: Path
    wait_s: float = 60.0
    said: list[str] = attrs.field(factory=list)
    document: dict[str, Any] = attrs.field(factory=dict)

    @property
    def halt_file(self) -> HaltFile:
        return halt_file_of(read(self.path))

    @property
    def runs(self) -> RunFolder:
        return runs_of(self.halt_file)

    def out(self, document: Any, lines: Sequence[str]) -> None:
        self.document, self.said = document, list(lines)

    def halt(self, strategy: str | None = None, level: str = "cancel") -> int:
        return verbs.halt(self.path, strategy, level, "why", self.out, wait_s=self.wait_s)

    def resume(self, strategy: str | None = None) -> int:
        return verbs.resume(self.path, strategy, self.out, wait_s=self.wait_s)

    def resolve(self) -> int:
        return orders.resolve(self.path, ORDER, "filled", self.out, wait_s=self.wait_s)

    def holds(self) -> list[tuple[str | None, HaltLevel]]:
        return [(halt.strategy, halt.level) for halt in self.halt_file.read().halts]


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bot:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "bot.toml"
    path.write_text('config_version = 1\nname = "bot"\n[venue.embedded]\nsymbols = ["BTCUSDT"]\n')
    return Bot(path)


@pytest.fixture
def served(bot: Bot) -> Iterator[Served]:
    with serving(bot.runs.folder) as there:
        there.reply = ACCEPTED
        yield there


@pytest.fixture
def hung(bot: Bot) -> Iterator[None]:
    """A run that lives and hears nothing."""
    bot.wait_s = 0.05
    with bot.runs.entered("hung"):
        yield


# -- halt and resume --------------------------------------------------------------------------------------------------


def test_without_a_run_the_file_is_written_and_cleared(bot: Bot) -> None:
    assert bot.halt() == Exit.DONE
    assert bot.said == ["bot: halted: all strategies: cancel (why)", "no bot is running: the next start begins halted"]
    assert (bot.document["running"], bot.document["answers"]) == (False, [])
    assert bot.holds() == [(None, HaltLevel.CANCEL)]
    assert bot.resume() == Exit.DONE
    assert bot.said == ["bot: nothing is halted", "no bot is running: the next start trades"]
    assert not bot.halt_file.path.exists()


def test_a_run_that_accepts_does_the_writing(bot: Bot, served: Served) -> None:
    assert bot.halt(level="flatten") == Exit.DONE
    (request,) = served.asked
    assert isinstance(request, HaltRequest)
    assert (request.level, request.strategy, request.reason) == (HaltLevel.FLATTEN, None, "why")
    assert request.at_ms > 0
    assert not bot.halt_file.path.exists()
    assert bot.said == ["bot: nothing is halted", "bot 7: in detail"]
    assert bot.document["answers"][0]["result"] == "accepted"
    assert bot.resume() == Exit.DONE
    assert served.asked[1] == ResumeRequest(VERSION)


def test_what_a_run_could_not_write_down_is_told(bot: Bot, served: Served) -> None:
    served.reply = changed(ACCEPTED, halts=[HaltRow(HaltLevel.PAUSE, None, "held")], failed=True)
    assert bot.halt() == Exit.TRY_LATER
    assert bot.document["halts"] == [{"strategy": None, "level": "pause", "reason": "held"}]
    assert bot.said[:2] == [
        "bot: halted: all strategies: pause (held)",
        "the halt holds, but not everything could be done: the bot goes on trying, look at its log",
    ]


def changed(answer: ControlAnswer, **changes: Any) -> ControlAnswer:
    """An answer with some of it changed."""
    fields = {name: getattr(answer, name) for name in answer.__struct_fields__}
    return ControlAnswer(**{**fields, **changes})


@pytest.mark.usefixtures("hung")
def test_a_run_that_hangs_is_told_by_the_file(bot: Bot) -> None:
    assert bot.halt() == Exit.TRY_LATER
    assert bot.holds() == [(None, HaltLevel.CANCEL)]
    assert "has not answered within 0.05 s; it is told by the halt file" in bot.said[1]
    assert bot.resume() == Exit.TRY_LATER
    content = bot.halt_file.read()
    assert (content.halts, content.resumed) == ((), (None,))
    assert bot.halt_file.path.exists(), "for the run to see, when it goes on"


def test_a_run_that_refuses_keeps_no_halt_from_the_file(bot: Bot, served: Served) -> None:
    served.reply = REFUSED
    assert bot.halt() == Exit.TRY_LATER
    assert bot.holds() == [(None, HaltLevel.CANCEL)]
    assert bot.said[-1] == "bot 8: not so"


@pytest.mark.usefixtures("hung")
def test_of_two_runs_both_have_to_accept(bot: Bot, served: Served) -> None:
    assert bot.halt() == Exit.TRY_LATER
    assert bot.holds() == [(None, HaltLevel.CANCEL)]
    assert len(served.asked) == 1
    assert len(bot.said) == 3


def test_a_halt_that_cannot_be_written_at_all_is_an_error(bot: Bot) -> None:
    folder = bot.halt_file.path.parent
    folder.parent.mkdir(parents=True)
    folder.touch()
    with pytest.raises(ConfigError, match="the halt file cannot be kept here"):
        bot.halt()


def test_an_earlier_halt_is_not_made_a_lesser_one(bot: Bot) -> None:
    bot.halt_file.change(lambda _: (Halt(HaltLevel.FLATTEN),), "r")
    assert bot.halt(level="pause") == Exit.DONE
    assert bot.holds() == [(None, HaltLevel.FLATTEN)]


def test_a_strategy_that_is_not_there_is_named(bot: Bot) -> None:
    with pytest.raises(UsageError, match="there is no strategy 'x'; there is none at all"):
        bot.halt("x")
    assert not bot.halt_file.path.exists()


# -- orders resolve ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replies", "code", "result"),
    [
        ([ACCEPTED], Exit.DONE, "resolved"),
        ([REFUSED, ACCEPTED], Exit.DONE, "resolved"),
        ([ACCEPTED, UNANSWERED], Exit.DONE, "resolved"),
        ([UNANSWERED], Exit.TRY_LATER, "unanswered"),
        ([UNANSWERED, REFUSED], Exit.TRY_LATER, "unanswered"),
        ([REFUSED], None, ""),
        ([REFUSED, REFUSED], None, ""),
    ],
)
def test_one_of_the_runs_has_to_know_the_order(bot: Bot, replies: list[ControlAnswer], code: Exit | None, result: str) -> None:
    with ExitStack() as stack:
        all_served = [stack.enter_context(serving(bot.runs.folder)) for _ in replies]
        for served, reply in zip(all_served, replies, strict=True):
            served.reply = reply
        if code is None:
            with pytest.raises(UsageError, match=r"^not so$"):
                bot.resolve()
        else:
            assert bot.resolve() == code
            assert bot.document["result"] == result
        assert [served.asked for served in all_served] == [[ResolveRequest(VERSION, ORDER, ManualResolution.FILLED)]] * len(replies)


@pytest.mark.usefixtures("hung")
def test_a_run_that_hangs_may_yet_take_it(bot: Bot) -> None:
    assert bot.resolve() == Exit.TRY_LATER
    assert bot.document["result"] == "unanswered"
    assert bot.said == ["a bot runs, but has not answered; look at its log for whether it has taken this"]
