"""Reading recordings, and an honest word about a torn end. An input log is one as well: it holds the market of its run.

A file that was cut (a killed recorder, an interrupted copy) ends in the middle of a line or of its compression: everything before
is given, and the tear is reported with its line number. A broken line anywhere else is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from coldframe.data.input_log import InputLogReading
from coldframe.data.lines import USUAL_BOUNDS, LineBounds, LineReader
from coldframe.data.market_of_log import is_input_log, market_lines
from coldframe.errors import ConfigError, DecodeError
from coldframe.wire.recording import RecordingLine, parse_line
from coldframe.wire.strict import loosely

#: So many different streams and snapshots may be on one recording; the exchange has a fifth of them.
MOST_NAMES: Final = 50_000


class RecordingReading:
    """One pass over a recording. `line` is the number of the last line given, from 1, and `count` how many were given; `tear` says,
    after the last one, what is wrong with the end of the file, in one sentence, or is None.

    Raises `ConfigError` when the file cannot be read, for a broken line that is not the last, and for what is too long to be a
    recording. Holds one line at a time, and takes time in proportion to the file.
    """

    def __init__(self, path: str | Path, bounds: LineBounds = USUAL_BOUNDS) -> None:
        self._lines = LineReader(path, "recording", bounds)
        self.path = self._lines.path
        self.line = 0
        self.count = 0
        self.tear: str | None = None
        self._names: set[str] = set()

    def __iter__(self) -> Iterator[RecordingLine]:
        return self._market() if is_input_log(self.path) else self._recorded()

    def _market(self) -> Iterator[RecordingLine]:
        with closing(InputLogReading(self.path)) as reading:
            for self.line, parsed in market_lines(reading):
                self._note_name(parsed)
                self.count += 1
                yield parsed
            self.tear = reading.tear

    def _recorded(self) -> Iterator[RecordingLine]:
        broken: ConfigError | None = None
        last = b""
        for raw in self._lines:
            if broken is not None:
                raise broken
            try:
                parsed = parse_line(raw)
            except DecodeError as error:
                broken, last = self._lines.error(f"not a line of a recording: {error}"), raw
                continue
            self._note_name(parsed)
            self.line, self.count = self._lines.at, self.count + 1
            yield parsed
        self.tear = self._lines.tear
        if broken is not None:
            if not self.count or _is_whole(last):
                raise broken
            self.tear = f"{self.path}:{self._lines.at}: the last line is torn and was left out"

    def _note_name(self, line: RecordingLine) -> None:
        self._names.add(str(line.stream if isinstance(line.stream, str) else line.snapshot))
        if len(self._names) > MOST_NAMES:
            raise self._lines.error(f"more than {MOST_NAMES} different streams, which no recording has")


def _is_whole(raw: bytes) -> bool:
    """Whether a line is JSON from its beginning to its end: nothing of it was cut off."""
    try:
        loosely(raw)
    except DecodeError:
        return False
    return True


def read_recording(path: str | Path, bounds: LineBounds = USUAL_BOUNDS) -> RecordingReading:
    """One pass over the recording at `path` (.jsonl, .jsonl.gz, .jsonl.zst)."""
    return RecordingReading(path, bounds)
