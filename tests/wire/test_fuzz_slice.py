"""A short slice of the fuzzing campaign, and what keeps the campaign whole: no reader of bytes is missing in it."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

from coldframe import wire
from coldframe.wire.api import ApiReply
from coldframe.wire.names import StreamKind, parse
from coldframe.wire.streams import Message
from tests.campaigns import fuzz
from tests.campaigns.frontdoor import Visits
from tests.campaigns.mangle import mangled
from tests.campaigns.reader import Reader
from tests.campaigns.readers import STREAMS, readers
from tests.wire.shapes import _BASES, KINDS

#: Takes bytes only to send or write them, or hands them on unread.
SENDERS = {
    # Hashes, lines and frames that we made ourselves, in this process or before.
    "coldframe.runtime.replay.first_that_differs",
    "coldframe.runtime.virtual_venue.Client.received",
    "coldframe.runtime.virtual_venue.VirtualVenue.control",
    "coldframe.runtime.virtual_venue.VirtualVenue.ping",
    "coldframe.runtime.virtual_venue.VirtualVenue.pong",
    "coldframe.data.input_log.Digest.with_step",
    "coldframe.data.recording_file.RecordingFile.write",
    "coldframe.data.recording_file.line_of_frame",
    "coldframe.data.arranging.arranged",
    "coldframe.runtime.backtest.Backtest.arrived",
    "coldframe.trio_io.journalfile.JournalFile.cut",
    "coldframe.trio_io.journal_chain.chained",
    "coldframe.trio_io.batch.BatchStream.send_all",
    "coldframe.trio_io.inbox.Inbox.put_frames",
    "coldframe.trio_io.link.write",
    "coldframe.exchange_server.links.cables.Below.send_all",
    "coldframe.exchange_server.links.cables.CutAfterBytes.send_all",
    "coldframe.exchange_server.links.socket.ServerSocket.send_ping",
    "coldframe.exchange.context.StreamConnection.send_frame",
}


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Reader]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return readers(random.Random(1), tmp_path)


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def _takers(package: ModuleType) -> dict[CodeType, str]:
    """Public functions and methods of a package that take bytes: their code and names."""
    found = {}
    for module in _modules(package):
        inside = [thing for thing in vars(module).values() if getattr(thing, "__module__", "") == module.__name__]
        methods = [method for thing in inside if inspect.isclass(thing) for method in vars(thing).values()]
        for thing in [*inside, *methods]:
            function = inspect.unwrap(getattr(thing, "__func__", thing))
            if inspect.isfunction(function) and function.__name__[0] != "_" and _takes_bytes(function):
                found[function.__code__] = f"{module.__name__}.{function.__qualname__}"
    return found


def _takes_bytes(function: Callable[..., Any]) -> bool:
    return any(
        "bytes" in str(kind) and "Callable" not in str(kind) for name, kind in function.__annotations__.items() if name != "return"
    )


@contextmanager
def _called() -> Iterator[set[CodeType]]:
    """The code that is called inside."""
    codes: set[CodeType] = set()
    before = sys.getprofile()

    def see(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.setprofile(see)
    try:
        yield codes
    finally:
        sys.setprofile(before)


def _read(reader: Reader, data: bytes) -> bool:
    with suppress(*reader.declared):
        reader.read(data)
        return True
    return False


def test_every_class_of_message_has_a_reader(everything: list[Reader]) -> None:
    classes = {
        thing
        for module in _modules(wire)
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, Message)
    }
    assert classes - {*_BASES, ApiReply} == set(KINDS)
    assert {kind.__name__ for kind in KINDS} <= {reader.name for reader in everything}
    assert {parse(text).kind for text in STREAMS} == set(StreamKind)


@pytest.mark.scene
def test_no_reader_of_bytes_is_missing(everything: list[Reader]) -> None:
    """All public functions that take bytes are called by some reader of the campaign: the wire, the venue, files and links."""
    chance, visits = random.Random(3), Visits(random.Random(1))
    with _called() as codes:
        visits.run(1_500)
        for reader in everything:
            for data in [*reader.samples, *(mangled(chance, reader.samples[0], reader.samples) for _ in range(20))]:
                _read(reader, data)
    packages = [
        importlib.import_module(f"coldframe.{name}")
        for name in ("wire", "data", "trio_io", "exchange", "exchange_server", "runtime", "config")
    ]
    missing = {name for package in packages for code, name in _takers(package).items() if code not in codes}
    assert missing == SENDERS


def test_every_reader_takes_a_good_input(everything: list[Reader]) -> None:
    """A reader that refuses everything would prove nothing."""
    assert [reader.name for reader in everything if not any(_read(reader, sample) for sample in reader.samples)] == []


@pytest.mark.scene
def test_a_slice_of_the_decoders_campaign() -> None:
    found = fuzz.decoders(10_000, seed=1)
    assert found.violations == []
    assert found.inputs == 10_000


@pytest.mark.scene
def test_a_slice_of_the_front_doors_campaign() -> None:
    found = fuzz.front_door(5_000, seed=1)
    assert found.violations == []
    assert found.inputs >= 5_000


def test_a_campaign_tells_of_growing_memory() -> None:
    found = fuzz.Findings("leak", memory_mb=[50, 60, 70, 60 + fuzz.FLAT_MB])
    assert found.violations == []
    found.memory_mb.append(61 + fuzz.FLAT_MB)
    assert "memory has grown by 33 MB" in found.violations[0]


def test_a_campaign_tells_of_what_nothing_declares() -> None:
    found = fuzz.Findings("raised", memory_mb=[1])
    try:
        json.loads("[" * 100_000)
    except RecursionError as error:
        found.raised("plain JSON", error, b"[[[")
    assert "1 times plain JSON: RecursionError at decoder.py" in found.violations[0]
    assert found.last_line.endswith("1 undeclared exceptions")
