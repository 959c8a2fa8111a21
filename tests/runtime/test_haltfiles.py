"""Halt files by configuration and name: copies halt for themselves, and no moved, renamed or lost file lifts a halt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldframe.commands.halt import halt, resume
from coldframe.config.load import Loaded
from coldframe.model.halting import Halt, HaltLevel
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import halt_file_of, known, resumed, runs_of, standing_halts
from coldframe.trio_io.halt_file import HaltFileContent, raised

HALT = Halt(HaltLevel.CANCEL, None, "odd", 5)
LIVE = "testnet-00112233"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "coldframe"


def bot(folder: Path, name: str = "scene", more: str = "") -> Loaded:
    folder.mkdir(exist_ok=True)
    path = folder / "bot.toml"
    path.write_text(f'config_version = 1\nname = "{name}"\n{more}')
    return read(path)


def start(loaded: Loaded, account: str = "") -> tuple[HaltFileContent, list[str]]:
    """What a start begins with, and what it says."""
    said: list[str] = []
    return standing_halts(loaded, account, said.append), said


def halted(loaded: Loaded, halt: Halt = HALT) -> None:
    known(loaded)
    halt_file_of(loaded).change(lambda halts: raised(halts, halt), "r")


def lift(loaded: Loaded) -> None:
    resumed(loaded, None)
    halt_file = halt_file_of(loaded)
    halt_file.clear(halt_file.change(lambda _: (), "lifted").revision)


def levels(content: HaltFileContent) -> list[HaltLevel]:
    return [halt.level for halt in content.halts]


def test_p16_copies_have_files_of_their_own(tmp_path: Path) -> None:
    first, second = bot(tmp_path / "a"), bot(tmp_path / "b")
    assert halt_file_of(first).path != halt_file_of(second).path
    assert runs_of(halt_file_of(first)).folder != runs_of(halt_file_of(second)).folder
    start(first)
    start(second)
    halted(first)
    assert halt_file_of(second).read() == HaltFileContent()


def test_one_file_has_one_key_whatever_leads_to_it(tmp_path: Path) -> None:
    first = bot(tmp_path / "a")
    (tmp_path / "link.toml").symlink_to(tmp_path / "a" / "bot.toml")
    assert halt_file_of(read(tmp_path / "link.toml")).path == halt_file_of(first).path
    assert halt_file_of(bot(tmp_path / "a", "other")).path != halt_file_of(first).path


def test_the_file_names_bot_configuration_and_account(tmp_path: Path) -> None:
    loaded = bot(tmp_path / "a")
    start(loaded, LIVE)
    halted(loaded)
    body = json.loads(halt_file_of(loaded).path.read_text())
    assert (body["name"], body["configuration"], body["account"]) == ("scene", str(tmp_path / "a/bot.toml"), LIVE)


@pytest.mark.parametrize("gone", [True, False], ids=["moved", "copied"])
def test_p16_a_start_under_another_path_stays_halted(tmp_path: Path, gone: bool) -> None:
    first = bot(tmp_path / "a")
    halted(first)
    second = bot(tmp_path / "b")
    if gone:
        (tmp_path / "a/bot.toml").unlink()
    content, (said,) = start(second)
    assert levels(content) == [HaltLevel.CANCEL]
    assert content.halts[0].reason == f"odd (halted for {tmp_path / 'a/bot.toml'})"
    assert said.startswith(
        f"bot scene of {tmp_path / 'a/bot.toml'} is halted: this start stays halted as well, until `coldframe resume"
    )
    assert levels(start(second)[0]) == [HaltLevel.CANCEL], "it is latched"
    lift(second)
    assert start(second) == (HaltFileContent(), []), "and lifted by name"
    assert bool(halt_file_of(first).read().halts) is not gone, "the halt of a bot that is still there stands"


def test_a_new_halt_of_the_copy_counts_anew(tmp_path: Path) -> None:
    first, second = bot(tmp_path / "a"), bot(tmp_path / "b")
    halted(first)
    start(second)
    lift(second)
    halt_file_of(first).change(lambda halts: raised(halts, Halt(HaltLevel.FLATTEN)), "s")
    assert levels(start(second)[0]) == [HaltLevel.FLATTEN]


def test_a_resumption_before_the_first_start_is_enough(tmp_path: Path) -> None:
    first, second = bot(tmp_path / "a"), bot(tmp_path / "b")
    halted(first)
    lift(second)
    assert start(second) == (HaltFileContent(), [])


@pytest.mark.parametrize(
    ("account", "stays"),
    [(LIVE, True), ("testnet-99", False), ("", False), ("paper-1", False)],
    ids=["same", "other", "none", "paper"],
)
def test_p16_another_name_on_the_same_account_stays_halted(tmp_path: Path, account: str, stays: bool) -> None:
    first, second = bot(tmp_path / "a", "one"), bot(tmp_path / "b", "two")
    start(first, LIVE if account != "paper-1" else account)
    halted(first)
    content, said = start(second, account)
    assert bool(content.halts) is bool(said) is stays


def test_p16_renaming_the_bot_in_its_file_lifts_no_halt(tmp_path: Path) -> None:
    halted(bot(tmp_path / "a", "one"))
    content, said = start(bot(tmp_path / "a", "two"))
    assert levels(content) == [HaltLevel.CANCEL]
    assert "bot one of" in said[0]


def test_bots_that_share_nothing_share_no_halt(tmp_path: Path) -> None:
    halted(bot(tmp_path / "a", "one"))
    assert start(bot(tmp_path / "b", "two"), LIVE) == (HaltFileContent(), [])


def test_a_halt_of_before_the_register_is_not_forgotten(tmp_path: Path, state: Path) -> None:
    (state / "scene").mkdir(parents=True)
    (state / "scene" / "halt.json").touch()
    loaded = bot(tmp_path / "a")
    content, said = start(loaded)
    assert levels(content) == [HaltLevel.CANCEL]
    assert str(state / "scene" / "halt.json") in said[0]
    lift(loaded)
    assert start(loaded) == (HaltFileContent(), [])
    assert not (state / "scene" / "halt.json").exists()


@pytest.mark.parametrize(
    "text",
    ["{", "", "\0", '{"name":7}', '{"zz":' + "[" * 20_000 + "]" * 20_000 + "}", '{"zz":' * 5_000],
    ids=["torn", "empty", "no text", "a number", "deep", "deep and torn"],
)
def test_a_lost_register_lifts_no_halt(tmp_path: Path, state: Path, text: str) -> None:
    halted(bot(tmp_path / "a"))
    for path in (state / "halts").iterdir():
        path.write_text(text)
    assert levels(start(bot(tmp_path / "b"))[0]) == [HaltLevel.CANCEL]


def test_an_own_file_in_the_configuration_is_found_as_well(tmp_path: Path) -> None:
    halted(bot(tmp_path / "a", more=f'[halt]\nfile = "{tmp_path}/mine.json"\n'))
    assert (tmp_path / "mine.json").exists()
    assert levels(start(bot(tmp_path / "b"))[0]) == [HaltLevel.CANCEL]


def test_bots_that_name_one_file_share_it(tmp_path: Path) -> None:
    shared = f'[halt]\nfile = "{tmp_path}/shared.json"\n'
    halted(bot(tmp_path / "a", more=shared))
    content, said = start(bot(tmp_path / "b", more=shared))
    assert (levels(content), said) == ([HaltLevel.CANCEL], [])


def test_where_nothing_can_be_written_a_start_stays_halted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halted(bot(tmp_path / "a"))
    second = bot(tmp_path / "b", more=f'[halt]\nfile = "{tmp_path}/a/bot.toml/halt.json"\n')
    assert levels(start(second)[0]) == [HaltLevel.CANCEL]


def test_halting_needs_no_more_than_the_name(tmp_path: Path) -> None:
    broken = bot(tmp_path / "a", more='[orders]\nmode = "sideways"\nprivate_key = "file:nowhere.pem"\n')
    said: list[object] = []
    assert halt(broken.source.path, None, "pause", "", lambda document, _: said.append(document)) == 0
    assert levels(halt_file_of(broken).read()) == [HaltLevel.PAUSE]
    assert resume(broken.source.path, None, lambda document, _: said.append(document)) == 0
    assert halt_file_of(broken).read() == HaltFileContent()
