"""Refusals of the venue: codes with their texts, and the HTTP status that goes with each."""

from __future__ import annotations

from typing import Final

from coldframe.wire.codes import CODES
from coldframe.wire.requests import Fault

_STATUS: Final = {-2014: 401, -2015: 401, -1002: 401, -1003: 429, -1015: 429, -1001: 503, -1008: 503, -1007: 408, -5000: 404}


def refuse(code: int, *parts: object, variant: int | None = None) -> Fault:
    """The refusal `code` with the venue's text, its blanks filled with `parts`."""
    return Fault(code, CODES[code].text(*parts, variant=variant))


def status_of(fault: Fault) -> int:
    """The HTTP status of a refusal; the WebSocket API prints the same number."""
    return _STATUS.get(fault.code, 400)
