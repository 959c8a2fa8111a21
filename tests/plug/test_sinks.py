"""Sinks hear everything in order; a sink that raises is dropped with a line, and the others go on hearing."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from coldframe.errors import PluginError
from coldframe.model.effects import Level, Log, Told
from coldframe.plug.loader import GROUP, PluginRegistry
from coldframe.plug.sinks import SINK_LIMIT_NS, Sinks

LINES = [Log(Level.INFO, str(number)) for number in range(4)]


def test_every_sink_hears_everything() -> None:
    first: list[Told | Log] = []
    second: list[Told | Log] = []
    sinks = Sinks([first.append, second.append], pytest.fail)
    for line in LINES:
        sinks.deliver(line)
    assert first == second == LINES


def test_s9_a_sink_that_holds_the_run_up_hears_nothing_more() -> None:
    now_ns, complaints, heard = [0], [], []

    def slow(news: Told | Log) -> None:
        heard.append(news)
        now_ns[0] += SINK_LIMIT_NS + (news is LINES[1])

    sinks = Sinks([slow], complaints.append, lambda: now_ns[0])
    for line in LINES:
        sinks.deliver(line)
    assert heard == LINES[:2]
    assert complaints == ["a sink took 1000 ms, and has to return at once; it is not called any more"]


class Same:
    """Equals every other sink."""

    def __init__(self, heard: list[Told | Log], error: Exception | None = None) -> None:
        self.heard, self.error = heard, error

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __call__(self, news: Told | Log) -> None:
        self.heard.append(news)
        if self.error is not None:
            raise self.error


def test_the_sink_that_failed_is_dropped_and_not_one_like_it() -> None:
    first: list[Told | Log] = []
    second: list[Told | Log] = []
    sinks = Sinks([Same(first), Same(second, ValueError("no"))], lambda line: None)
    for line in LINES:
        sinks.deliver(line)
    assert (first, second) == (LINES, LINES[:1])


@pytest.mark.parametrize("error", [ValueError("full"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
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
        sinks.deliver(line)
    assert before == after == LINES
    assert heard == LINES[:2]
    assert len(complaints) == 1
    assert complaints[0].startswith(f"a sink failed: {type(error).__name__}: {error}".rstrip())
    assert complaints[0].endswith("; it is not called any more")


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
    registry = PluginRegistry([EntryPoint("plain", name, GROUP)])
    registry.load("plain", tmp_path)
    with pytest.raises(PluginError, match=r"^the sinks of a plugin cannot be had: \w+: .*$"):
        registry.sinks()
