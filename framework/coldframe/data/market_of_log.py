"""The market in an input log, as the lines of a recording: what its market links brought, and the depth snapshots it fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from coldframe.data.input_log import InputLogReading
from coldframe.data.lines import LineReader
from coldframe.model.inputs import FramesReceived, Lane, RestAnswered
from coldframe.wire.frames import cut_envelope
from coldframe.wire.recording import RecordingLine

_DEPTH: Final = "/fapi/v1/depth"
#: Stands near the beginning of the first line.
_MARK: Final = b'"input_log":'


def is_input_log(path: Path) -> bool:
    """Whether the first line of a file begins an input log. Raises `ConfigError` when the file cannot be read."""
    with closing(LineReader(path, "recording").__iter__()) as lines:
        return _MARK in next(lines, b"")[:60]


def market_lines(reading: InputLogReading) -> Iterator[tuple[int, RecordingLine]]:
    """Lines as a recorder of the same run would have written them, each with the number of its line in the log."""
    asked: dict[int, str] = {}
    for step in reading:
        match step.event:
            case FramesReceived(_, frames) if step.lane is Lane.MARKET:
                for cut in filter(None, map(cut_envelope, frames)):
                    yield step.line, RecordingLine(t=step.at_ns, stream=cut[0], data=msgspec.Raw(cut[1]))
            case RestAnswered(call_id, answer):
                symbol = asked.pop(call_id, None)
                if symbol is not None and answer is not None and answer.status == 200:
                    yield step.line, RecordingLine(t=step.at_ns, snapshot=symbol, data=msgspec.Raw(answer.body))
            case _:
                pass  # the other inputs bring no market data
        if _DEPTH.encode() in step.effects:
            asked |= _snapshots_asked(step.effects)


def _snapshots_asked(effects: bytes) -> dict[int, str]:
    """The symbols of the depth snapshots that a step asks for, by the number of the call."""
    calls = (fields for name, fields in msgspec.json.decode(effects) if name == "CallRest")
    return {call["call_id"]: call["params"]["symbol"] for call in calls if call["path"] == _DEPTH}
