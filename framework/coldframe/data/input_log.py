"""An input log: every input of an engine as it was stepped, with what came of it, one line of JSON each.

The lines are packed and torn like those of a recording. The first one describes the run (`begin_line`), the second is its start,
every other an input: `{"t":<our time, ns>,"seq":…,"lane":…,"input":"<kind>","data":{…}}`, and where a step had any

- `calls`: what strategies wanted, `[[strategy, hook, [[intent, {…}], …]], …]`;
- `late`: hooks that took too long, `[[number of the call in the step, text], …]`: the one thing a replay cannot find out again;
- `effects`: what the engine wanted done, `[[effect, {…}], …]`, and `digest`, a hash over all effects up to here.

Session secrets (listen keys, API keys) are replaced by a hash wherever they stand, the same one each time: a replay works with the
hash as the run did with the secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, get_args

import attrs
import msgspec

from coldframe.core.strategies.runtime import is_intent
from coldframe.data.lines import LineReader
from coldframe.errors import ConfigError, DecodeError
from coldframe.model.effects import Effect
from coldframe.model.inputs import FramesReceived, Input, Lane, RestAnswered, Stamped
from coldframe.model.intents import SaveState
from coldframe.model.saved_state import text_of
from coldframe.text import class_name
from coldframe.wire.rest import Answer

#: Of the format; a reader refuses what it does not know.
VERSION: Final = 1
#: The word that stands for the start of a run, which is not an input.
START: Final = "Start"

_SECRETS: Final = re.compile(rb'"(?:listenKey|apiKey)"\s*:\s*"([^"\\]+)"')
_KINDS: Final[Mapping[str, type]] = {kind.__name__: kind for kind in get_args(Input)}
#: What a plain frame begins with: white space before it would be lost in a line.
_PLAIN: Final = (b"{", b"[")


@attrs.frozen
class Call:
    """What one call of a strategy's hook wanted."""

    strategy: str
    hook: str
    wanted: Sequence[object]


@attrs.frozen
class Late:
    """A call that took longer than its strategy may: which one of the step, counted from 1, and what was said."""

    number: int
    text: str


@attrs.frozen
class Calls:
    """What the strategies did in one step."""

    wanted: Sequence[Call] = ()
    late: Sequence[Late] = ()


NO_CALLS: Final = Calls()


class _Line(msgspec.Struct):
    t: int
    input: str
    data: msgspec.Raw
    seq: int = 0
    lane: int = 0
    calls: msgspec.Raw = msgspec.Raw(b"")
    late: list[tuple[int, str]] = []
    effects: msgspec.Raw = msgspec.Raw(b"")
    digest: str = ""


class _Begin(msgspec.Struct):
    t: int
    input_log: int
    data: msgspec.Raw


class _Frames(msgspec.Struct):
    link: str
    frames: list[msgspec.Raw] = []
    #: In place of `frames` where one of them is not plain JSON: all of them in base64.
    packed: list[bytes] = []


class _Answered(msgspec.Struct, omit_defaults=True):
    call_id: int
    sent_ns: int
    reason: str = ""
    status: int | None = None
    headers: dict[str, str] = {}
    text: str | None = None
    packed: bytes = b""


# -- writing ------------------------------------------------------------------------------------------------------------


def begin_line(at_ns: int, run: Mapping[str, object]) -> bytes:
    """The first line: everything that a replay has to know of the run, as plain JSON."""
    return msgspec.json.encode({"t": at_ns, "input_log": VERSION, "data": run})


class InputEncoder:
    """Makes the lines of one run. Holds the digest so far, and the secrets that it has seen."""

    def __init__(self) -> None:
        self._secrets: dict[bytes, bytes] = {}
        self._digest = Digest()

    def start(self, at_ns: int, effects: Sequence[Effect], calls: Calls = NO_CALLS) -> bytes:
        """The line of the run's start."""
        return b'{"t":%d,"input":"%b","data":null%b}' % (at_ns, START.encode(), self._outcome(effects, calls))

    def step(self, stamped: Stamped, effects: Sequence[Effect], calls: Calls = NO_CALLS) -> bytes:
        """The line of one step."""
        event = stamped.event
        head = b'{"t":%d,"seq":%d,"lane":%d,"input":"%b","data":%b' % (
            stamped.at_ns,
            stamped.seq,
            stamped.lane,
            type(event).__name__.encode(),
            self._data(event, stamped.lane),
        )
        return b"%b%b}" % (head, self._outcome(effects, calls) if effects or calls is not NO_CALLS else b"")

    def _data(self, event: Input, lane: Lane) -> bytes:
        match event:
            case FramesReceived(link, frames):
                return _frames_out(link, frames if lane is Lane.MARKET else tuple(self._scrubbed(frame) for frame in frames))
            case RestAnswered():
                return _answer_out(event, self._scrubbed(event.answer.body) if event.answer else b"")
            case _:  # the other inputs are small, rare and without secrets
                return msgspec.json.encode(event)

    def _outcome(self, effects: Sequence[Effect], calls: Calls) -> bytes:
        parts = []
        if calls.wanted:
            parts.append(b',"calls":%b' % calls_out(calls.wanted))
        if calls.late:
            parts.append(b',"late":%b' % msgspec.json.encode([(late.number, late.text) for late in calls.late]))
        if effects:
            written = self._scrubbed(effects_out(effects))
            parts.append(b',"effects":%b,"digest":"%b"' % (written, self._digest.with_step(written).encode()))
        return b"".join(parts)

    def _scrubbed(self, text: bytes) -> bytes:
        """Without session secrets: each is replaced by a hash of its length."""
        for secret in _SECRETS.findall(text):
            if secret not in self._secrets:
                self._secrets[secret] = blake2b(secret, digest_size=64).hexdigest().encode()[: len(secret)]
        for secret, stand_in in self._secrets.items():
            text = text.replace(secret, stand_in)
        return text


class Digest:
    """A hash over the effects of all steps so far."""

    def __init__(self) -> None:
        self._so_far = b""

    def with_step(self, effects: bytes) -> str:
        """The digest after a step that had these effects."""
        self._so_far = blake2b(self._so_far + effects, digest_size=8).digest()
        return self._so_far.hex()


def effects_out(effects: Sequence[Effect]) -> bytes:
    """Effects as JSON: a list of names and fields."""
    return msgspec.json.encode([(type(effect).__name__, effect) for effect in effects], enc_hook=_plain)


def calls_out(calls: Sequence[Call]) -> bytes:
    """What strategies wanted, as JSON; a thing that is not a plain value is named by its class."""
    return msgspec.json.encode([(call.strategy, call.hook, [_wanted(intent) for intent in call.wanted]) for call in calls])


def _wanted(intent: object) -> tuple[str, Any]:
    try:
        if type(intent) is SaveState:
            return class_name(intent), {"value": msgspec.Raw(text_of(intent.value))}
        return class_name(intent), msgspec.Raw(msgspec.json.encode(intent)) if is_intent(intent) else None
    except (TypeError, ValueError, OverflowError, RecursionError):
        return class_name(intent), None


def _plain(value: object) -> object:
    """What msgspec does not know by itself."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no plain form")


def _frames_out(link: str, frames: Sequence[bytes]) -> bytes:
    if all(_is_plain(frame) for frame in frames):
        return b'{"link":%b,"frames":[%b]}' % (msgspec.json.encode(link), b",".join(frames))
    return msgspec.json.encode({"link": link, "packed": frames})


def _is_plain(frame: bytes) -> bool:
    """Whether a frame can stand in a line as it is: JSON without white space around it or line ends in it."""
    if not frame.startswith(_PLAIN) or b"\n" in frame or b"\r" in frame or frame[-1:].isspace():
        return False
    try:
        _RAW.decode(frame)
        frame.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _answer_out(event: RestAnswered, body: bytes) -> bytes:
    answer = event.answer
    if answer is None:
        return msgspec.json.encode(_Answered(event.call_id, event.sent_ns, event.reason))
    try:
        text, packed = body.decode(), b""
    except UnicodeDecodeError:
        text, packed = None, body
    headers = dict(answer.headers)
    return msgspec.json.encode(_Answered(event.call_id, event.sent_ns, event.reason, answer.status, headers, text, packed))


# -- reading ------------------------------------------------------------------------------------------------------------


@attrs.frozen
class LoggedStep:
    """One line of an input log. `event` is None for the start; `calls` and `effects` are JSON as written, empty where none were."""

    line: int
    at_ns: int
    seq: int
    lane: Lane
    event: Input | None
    calls: bytes
    late: tuple[Late, ...]
    effects: bytes
    digest: str

    @property
    def stamped(self) -> Stamped:
        """The input as it was stepped."""
        assert self.event is not None
        return Stamped(self.seq, self.at_ns, self.lane, self.event)


class InputLogReading:
    """One pass over an input log: `run` from its first line, then its steps; `tear` as of a recording. It has to be
    closed where it is not read to its end.

    Raises `ConfigError` when the file cannot be read, is not an input log, or is broken before its last line.
    """

    def __init__(self, path: str | Path) -> None:
        self._lines = LineReader(path, "input log")
        self._raw = self._lines.__iter__()
        self.path = self._lines.path
        self.tear: str | None = None
        try:
            self.run = self._begin()
        except ConfigError:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file, wherever in it the pass is."""
        self._raw.close()

    def _begin(self) -> dict[str, Any]:
        try:
            begin = msgspec.json.decode(next(self._raw, b""), type=_Begin)
            run = msgspec.json.decode(begin.data, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise self._lines.error("not an input log: its first line describes no run") from None
        if begin.input_log != VERSION:
            raise self._lines.error(f"an input log of version {begin.input_log}; this build reads version {VERSION}")
        return run

    def __iter__(self) -> Iterator[LoggedStep]:
        broken: ConfigError | None = None
        for raw in self._raw:
            if broken is not None:
                raise broken
            try:
                step = self._step(raw)
            except (msgspec.DecodeError, DecodeError, ValueError, RecursionError) as error:
                broken = self._lines.error(f"not a line of an input log: {error}")
                continue
            yield step
        self.tear = self._lines.tear
        if broken is not None:
            self.tear = f"{self.path}:{self._lines.at}: the last line is torn and was left out"

    def _step(self, raw: bytes) -> LoggedStep:
        line = _LINE.decode(raw)
        late = tuple(Late(number, text) for number, text in line.late)
        event = None if line.input == START else _event_in(line.input, bytes(line.data))
        outcome = bytes(line.calls), late, bytes(line.effects), line.digest
        return LoggedStep(self._lines.at, line.t, line.seq, Lane(line.lane), event, *outcome)


def _event_in(kind: str, data: bytes) -> Input:
    if kind == FramesReceived.__name__:
        frames = _FRAMES.decode(data)
        return FramesReceived(frames.link, tuple(frames.packed) or tuple(bytes(frame) for frame in frames.frames))
    if kind == RestAnswered.__name__:
        return _answer_in(_ANSWERED.decode(data))
    if kind not in _KINDS:
        raise DecodeError(f"an input of the unknown kind {kind!r}", data)
    event: Input = msgspec.json.decode(data, type=_KINDS[kind])
    return event


def _answer_in(found: _Answered) -> RestAnswered:
    answer = None
    if found.status is not None:
        body = found.packed if found.text is None else found.text.encode()
        answer = Answer(found.status, found.headers, body)
    return RestAnswered(found.call_id, answer, found.sent_ns, found.reason)


_RAW: Final = msgspec.json.Decoder(msgspec.Raw)
_LINE: Final = msgspec.json.Decoder(_Line)
_FRAMES: Final = msgspec.json.Decoder(_Frames)
_ANSWERED: Final = msgspec.json.Decoder(_Answered)
