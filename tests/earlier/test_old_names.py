"""Keys, options and verbs of version 0.1 work for one version, each with one line that names its place and the new word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldframe.cli import main
from coldframe.config.load import load
from coldframe.renamed import Renamed

FILES = Path(__file__).parent / "v0_1"
HEAD = 'config_version = 1\nname = "bot"\n'
OLD = HEAD + '[orders]\nforeign = "adopt"\n[venue.embedded]\nmarket = "recording"\ntape = "x.gz"\n'


def test_old_keys_are_read_with_a_notice_each(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(OLD)
    with pytest.warns(Renamed) as told:
        config = load(path).config
    assert (config.orders.external, config.venue.embedded.recording) == ("adopt", str(tmp_path / "x.gz"))
    assert [str(notice.message).partition(": the old")[0] for notice in told] == [
        f"{path}:4: orders.foreign: the key foreign is now external",
        f"{path}:7: venue.embedded.tape: the key tape is now recording",
    ]


def test_new_keys_are_read_without_a_word(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(OLD.replace("foreign", "external").replace("tape", "recording"))
    assert load(path).config.orders.external == "adopt"
    assert not recwarn.list


@pytest.mark.parametrize("orders", ['foreign = "adopt"\nexternal = "refuse"', "foreign = 1", 'foreign = "keep"'])
def test_a_wrong_old_key_is_found_on_its_line(orders: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(f"{HEAD}[orders]\n{orders}\n")
    assert main(["check", str(path)]) == 78
    found = [line for line in capsys.readouterr().err.splitlines() if " is now " not in line]
    assert len(found) == 1
    assert found[0].startswith(f"coldframe: {path}:4: orders.")


def test_a_table_that_is_not_one_is_left_to_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(f"orders = 3\n{HEAD}")
    assert main(["check", str(path)]) == 78
    assert "orders" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["info", "verify"])
def test_the_old_verb_does_what_the_new_one_does(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for name in ("tape", "recording"):
        assert main([name, verb, "--json", str(FILES / "market.jsonl.gz")]) == 0
        said.append(capsys.readouterr())
    old, new = said
    assert json.loads(old.out) == json.loads(new.out)
    assert json.loads(new.out)["verb"] == f"recording {verb}"
    assert old.err.startswith(f"coldframe: coldframe tape {verb} is now coldframe recording {verb}: ")
    assert len(old.err.splitlines()) == 1
    assert not new.err


@pytest.mark.scene
def test_the_old_option_plays_a_recording(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(FILES.parents[2] / "configs/recorded.toml")
    assert main(["run", config, "--tape", str(FILES / "market.jsonl.gz"), "--speed", "max", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["ended"] == "recording_end"
    assert [line for line in said.err.splitlines() if " is now " in line] == [
        "coldframe: the option --tape is now --recording: the old name works in this version for the last time"
    ]
