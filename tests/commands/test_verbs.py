"""What the verbs do between arguments and output: logs that cannot be forged, checks without a connection, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from coldframe.commands.verbs import PlainLog, check, list_plugins, recording_info, run_bot, serve_venue
from coldframe.errors import ConfigError
from coldframe.model.effects import Level
from coldframe.runtime.liveview import LiveView
from tests.runtime.files import EMBEDDED, STRATEGY, written
from tests.runtime.scene import CONFIG, STRATEGIES

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class Printed:
    document: Any = None
    lines: Sequence[str] = ()

    def __call__(self, document: object, lines: Sequence[str]) -> None:
        assert self.document is None, "one result a verb"
        self.document, self.lines = document, lines
        json.dumps(document)


def test_x18_log_lines_go_to_stderr_and_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    log = PlainLog()
    log.log(0, Level.DEBUG, "not shown")
    log.log(1_500_000_000, Level.INFO, "a book\n00:00:00.000 error: forged\x1b[2J\u2028")
    log.log(0, Level.WARNING, "hm")
    log.log(0, Level.ERROR, "no")
    PlainLog(Level.DEBUG).log(0, Level.DEBUG, "shown")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "00:00:01.500 a book\\x0a00:00:00.000 error: forged\\x1b[2J\\x2028",
        "00:00:00.000 warning: hm",
        "00:00:00.000 error: no",
        "00:00:00.000 shown",
    ]


def test_check_of_a_good_configuration(tmp_path: Path) -> None:
    printed = Printed()
    path = written(tmp_path, EMBEDDED + STRATEGY)
    assert check(path, printed) == 0
    assert printed.document == {
        "schema_version": 1,
        "verb": "check",
        "name": "bot",
        "environment": "embedded",
        "orders_mode": "paper",
        "streams": ["btcusdt@depth@100ms", "btcusdt@markPrice@1s"],
        "strategies": {"one": {"plugin": "Plain", "symbols": ["BTCUSDT"]}},
        "ok": True,
    }
    assert printed.lines == [f"{path}: good: one; 2 streams; orders paper on embedded"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_the_configurations_that_ship_are_good(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_: object, **__: object) -> None:
        raise AssertionError("check connects to nothing")

    monkeypatch.setattr("socket.socket.connect", no_socket)
    printed = Printed()
    assert check(path, printed) == 0
    assert printed.document["ok"] is True


def test_the_symbols_of_the_embedded_venue_are_known_to_check(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown symbol 'BTCUSD' \\(did you mean BTCUSDT\\?\\)"):
        check(written(tmp_path, EMBEDDED + STRATEGY.replace("BTCUSDT", "BTCUSD")), Printed())


def test_plugins_that_are_installed() -> None:
    printed = Printed()
    assert list_plugins(printed) == 0
    plugins = {plugin["name"]: plugin for plugin in printed.document["plugins"]}
    assert {"maker", "momentum", "guard"} == set(plugins)
    assert all(plugin["summary"] and plugin["origin"].startswith("coldframe_") for plugin in plugins.values())
    assert plugins["maker"]["params"]["spread_bps"]
    assert len(printed.lines) == len(plugins)


@pytest.mark.scene
def test_a_run_from_its_file_to_its_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strategies.py").write_text(STRATEGIES)
    (tmp_path / "bot.toml").write_text(CONFIG)
    shown: list[object] = []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(LiveView, "__enter__", lambda view: shown.append(view) or view)
    monkeypatch.setattr(LiveView, "__exit__", lambda *_: None)
    for plain in (True, False):
        printed = Printed()
        record = tmp_path / f"run{plain}.jsonl.gz"
        options = {"recording": None, "speed": None, "record": record, "journal": None, "live": False, "debug": False}
        code = run_bot(tmp_path / "bot.toml", for_s=2.5, plain=plain, out=printed, **options)  # type: ignore[arg-type]
        assert code == printed.document["exit_code"] == 4, "it leaves a position without a stop"
        assert printed.document["ended"] == "duration"
        assert printed.lines[0].startswith("scene: ended by duration after ")
        recorded = Printed()
        assert recording_info(record, recorded) == 0
        assert recorded.document["lines"] > 20
        assert set(recorded.document["snapshots"]) == {"BTCUSDT", "ETHUSDT"}
    assert len(shown) == 1
    captured = capsys.readouterr()
    assert "embedded venue: synthetic market" in captured.err
    assert captured.out == ""


def test_unwritable_recording_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    path = written(tmp_path, EMBEDDED + STRATEGY)
    with pytest.raises(BaseException) as refused:
        run_bot(
            path,
            for_s=1,
            recording=None,
            speed=None,
            record=tmp_path / "no/such/folder.gz",
            journal=None,
            live=False,
            plain=True,
            debug=False,
            out=Printed(),
        )
    error = refused.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, ConfigError)
    assert "cannot be written: No such file or directory" in str(error)


def test_a_venue_of_a_file_with_findings_is_not_served(tmp_path: Path) -> None:
    path = written(tmp_path, EMBEDDED + "[venue.embedded]\nsed = 7\n")
    options = {"port": None, "recording": None, "keys": None, "state": None, "debug": False, "out": Printed()}
    with pytest.raises(BaseException) as refused:
        serve_venue(path, **options)  # type: ignore[arg-type]
    assert "unknown key (did you mean seed?)" in repr(refused.value)
