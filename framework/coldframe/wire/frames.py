"""Control frames of a stream connection and the envelope round its payloads.

One parser and one builder serve both ends: the bot builds requests and reads answers, the venue reads requests and builds answers,
with the error texts of the seeds. Source: `seeds/004`, "Live Subscribing/Unsubscribing to streams"; protocol.md 4.1 for the
form of an error as measured on the live host.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeGuard

import attrs
import msgspec

from coldframe.errors import DecodeError
from coldframe.wire.strict import check_depth, loosely, strictly

METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")

RequestId = int | str

#: How much of a word that is not understood is said again.
_SHOWN: Final = 100

_HEX_ID: Final = re.compile(r"[0-9A-Fa-f-]{8,40}")
_ENVELOPE: Final = b'{"stream":"'
_DATA: Final = b'","data":'
#: Ends the head of a frame, up to and with the brace that opens its payload.
HEAD_END: Final = _DATA + b"{"
#: Ends a frame.
CLOSING_BRACE: Final = ord("}")


@attrs.frozen
class Control:
    """A well-formed request of a client on a stream connection."""

    method: str
    params: tuple[Any, ...]
    id: RequestId


@attrs.frozen
class ControlError:
    """Why a request on a stream connection is refused: the code and text of the seeds, and the id if one could be read."""

    code: int
    msg: str
    id: RequestId | None = None


@attrs.frozen
class ControlReply:
    """The venue's answer to a control request. An acknowledgement proves nothing: wrong names are acknowledged too."""

    id: RequestId | None
    result: Any = None
    error: ControlError | None = None


# -- the client's side ------------------------------------------------------------------------------------------------


def control_frame(method: str, params: Sequence[Any], request_id: int) -> bytes:
    """One request, ready to be sent as a text frame."""
    body: dict[str, Any] = {"method": method, "id": request_id}
    if params:
        body["params"] = list(params)
    return msgspec.json.encode(body)


def cut_envelope(frame: bytes) -> tuple[str, bytes] | None:
    """Stream name and payload of a combined frame as the venue prints it; None for any other frame.

    Cuts by the fixed prefix and does not parse: this runs once per market message.
    """
    if not frame.startswith(_ENVELOPE) or not frame.endswith(b"}"):
        return None
    end = frame.find(_DATA, len(_ENVELOPE))
    if end < 0:
        return None
    name = frame[len(_ENVELOPE) : end]
    if b'"' in name or b"\\" in name:
        return None
    try:
        return name.decode(), frame[end + len(_DATA) : -1]
    except UnicodeDecodeError:
        return None


def frame_head(name: str) -> bytes:
    """The bytes before the payload of every combined frame of a stream whose payload is an object: a key for a table of streams.

    A frame that begins with it, up to its first `HEAD_END`, and ends with a closing brace is one that `cut_envelope` cuts there.
    """
    return _ENVELOPE + name.encode() + _DATA


def parse_reply(frame: bytes) -> ControlReply:
    """The answer to a control request, in the documented form or in the form seen on the live host.

    Raises `DecodeError` for a frame that is neither.
    """
    body = _object(frame)
    fault = body.get("error", body if "code" in body and "msg" in body else None)
    request_id = body.get("id")
    if not isinstance(request_id, int | str | None):
        raise DecodeError("a control answer with an id that is neither a number nor a text", frame)
    if fault is not None:
        if not isinstance(fault, dict) or not isinstance(fault.get("code"), int) or not isinstance(fault.get("msg"), str):
            raise DecodeError("a control answer with a malformed error", frame)
        return ControlReply(request_id, error=ControlError(fault["code"], fault["msg"], request_id))
    if "result" not in body:
        raise DecodeError("neither a payload nor an answer to a request", frame)
    return ControlReply(request_id, result=body["result"])


def _object(frame: bytes) -> dict[str, Any]:
    body = strictly(frame)
    if not isinstance(body, dict):
        raise DecodeError("a frame that is not an object", frame)
    return body


# -- the venue's side -------------------------------------------------------------------------------------------------


def parse_control(frame: bytes) -> Control | ControlError:
    """What a client asks on a stream connection, or the error that the seeds prescribe for it.

    Ids are unsigned integers, as the seeds demand; UUIDs and hexadecimal ids are taken too, because clients in wide use send them.
    """
    try:
        body = loosely(frame)
        check_depth(body)
    except ValueError:
        return ControlError(2, "Invalid request: nested too deeply")
    except DecodeError as error:
        return ControlError(3, f"Invalid JSON: expected value at {_position(frame, error)}")
    if not isinstance(body, dict):
        return ControlError(2, "Invalid request: request must be an object")
    method, request_id = body.get("method"), body.get("id")
    if method is None:
        return ControlError(2, f"Invalid request: missing field `method` at line 1 column {len(frame)}")
    if method not in METHODS:
        known = ", ".join(f"`{method}`" for method in METHODS)
        column = _end_of_value(frame, method)
        return ControlError(
            2, f"Invalid request: unknown variant {str(method)[:_SHOWN]}, expected one of {known} at line 1 column {column}"
        )
    if not _is_id(request_id):
        return ControlError(2, "Invalid request: request ID must be an unsigned integer")
    params = body.get("params", [])
    if not isinstance(params, list):
        params = [params]
    fault = _check_params(method, params)
    return ControlError(fault[0], fault[1], request_id) if fault else Control(method, tuple(params), request_id)


def _check_params(method: str, params: list[Any]) -> tuple[int, str] | None:
    match method:
        case "SUBSCRIBE" | "UNSUBSCRIBE":
            if not all(isinstance(name, str) for name in params):
                return 2, "Invalid request: stream name must be a string"
        case "LIST_SUBSCRIPTIONS":
            if params:
                return 2, "Invalid request: too many parameters"
        case _:
            return _check_property(method, params)
    return None


def _check_property(method: str, params: list[Any]) -> tuple[int, str] | None:
    if not params or not isinstance(params[0], str):
        return 2, "Invalid request: property name must be a string"
    if len(params) > (2 if method == "SET_PROPERTY" else 1):
        return 2, "Invalid request: too many parameters"
    if params[0] != "combined":
        return 0, "Unknown property"
    if method == "SET_PROPERTY" and (len(params) < 2 or not isinstance(params[1], bool)):
        return 1, "Invalid value type: expected Boolean"
    return None


def reply_frame(request_id: RequestId, result: Any = None) -> bytes:
    """The answer to a request that was carried out."""
    return msgspec.json.encode({"result": result, "id": request_id})


def error_frame(error: ControlError) -> bytes:
    """The answer to a request that was refused, in the form seen on the live host."""
    body: dict[str, Any] = {"error": {"code": error.code, "msg": error.msg}}
    if error.id is not None:
        body["id"] = error.id
    return msgspec.json.encode(body)


def envelope(name: str, payload: bytes) -> bytes:
    """`payload` in the envelope of a combined connection."""
    return b'{"stream":%b,"data":%b}' % (msgspec.json.encode(name), payload)


def _is_id(value: object) -> TypeGuard[RequestId]:
    if isinstance(value, bool):
        return False
    return (isinstance(value, int) and value >= 0) or (isinstance(value, str) and _HEX_ID.fullmatch(value) is not None)


def _end_of_value(frame: bytes, method: object) -> int:
    """The column behind the value of `method`, where a streaming parser gives up on it."""
    key = frame.find(b'"method"')
    text = msgspec.json.encode(method)
    return frame.find(text, key + 8) + len(text)


def _position(frame: bytes, error: Exception) -> str:
    match = re.search(r"\(byte (\d+)\)", str(error))
    at = int(match[1]) if match else len(frame)
    return f"line {frame.count(10, 0, at) + 1} column {at - frame.rfind(10, 0, at)}"
