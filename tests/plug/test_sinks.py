"""Sinks hear everything in order; one that raises is dropped with a line, and the others go on hearing."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from coldframe.errors import PluginError
from coldframe.model.effects import Level, Log, Told
from coldframe.plug.loader import GROUP, House
from coldframe.plug.sinks import Sinks

LINES = [Log(Level.INFO, str(number)) for number in range(4)]


def test_every_sink_hears_everything() -> None:
    first: list[Told | Log] = []
    second: list[Told | Log] = []
    sinks = Sinks([first.append, second.append], pytest.fail)
    for line in LINES:
        sinks.hear(line)
    assert first == second == LINES


@pytest.mark.parametrize("error", [ValueError("full"), SystemExit(3)])
def test_a_sink_that_raises_hears_nothing_more(error: BaseException) -> None:
    complaints: list[str] = []
    before: list[Told | Log] = []
    after: list[Told | Log] = []
    heard: list[Told | Log] = []

    def breaks(news: Told | Log) -> None:
        heard.append(news)
        if news is LINES[1]:
            raise error

    sinks = Sinks([before.append, breaks, after.append], complaints.append)
    for line in LINES:
        sinks.hear(line)
    assert before == after == LINES
    assert heard == LINES[:2]
    assert len(complaints) == 1
    assert complaints[0].startswith(f"a sink failed: {type(error).__name__}: {error}")
    assert complaints[0].endswith("; it hears nothing more")


@pytest.mark.parametrize("body", ["raise OSError('no room')", "return 5"])
def test_sinks_that_cannot_be_had_are_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    name = f"sinking_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(
        "from coldframe import hookimpl\n"
        "class Plain: pass\n"
        "@hookimpl\ndef provide_strategies():\n    return {'plain': Plain}\n"
        f"@hookimpl\ndef provide_sinks():\n    {body}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    house = House([EntryPoint("plain", name, GROUP)])
    house.load("plain", tmp_path)
    with pytest.raises(PluginError, match=r"^the sinks of a plugin cannot be had: \w+: .*$"):
        house.sinks()
