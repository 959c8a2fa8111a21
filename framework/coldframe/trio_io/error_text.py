"""Why something did not work, in words for people: the cause at the bottom of a chain of exceptions, and never a URL."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Final

_WORDS: Final = {
    "ConnectTimeout": "no connection in time",
    "ReadTimeout": "no answer in time",
    "TooSlowError": "no whole answer in time",
    "WriteTimeout": "the request could not be sent in time",
    "PoolTimeout": "no connection in time",
    "WriteError": "the connection broke",
    "ConnectError": "no connection",
    "ReadError": "the connection broke",
    "RemoteProtocolError": "the answer breaks off, or is not HTTP",
    "BrokenResourceError": "the connection broke",
    "DecodingError": "the answer has an unknown or damaged compression",
}


def reason_of(error: BaseException) -> str:
    """The first cause in the chain that says something: an untrusted certificate, an error of the system, or a known kind."""
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    said = ""
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {current.verify_message}"
        if isinstance(current, OSError) and current.strerror and not isinstance(current, ssl.SSLError):
            # The text of some carries an address; what the number means says enough. Resolvers have numbers of their own.
            return current.strerror if current.errno is None or isinstance(current, socket.gaierror) else os.strerror(current.errno)
        if isinstance(current, ssl.SSLError):
            said = said or f"TLS failed: {getattr(current, 'reason', None) or current}"
        if isinstance(current, BaseExceptionGroup):
            pending += current.exceptions
        pending += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
    name = type(error).__name__
    return said or _WORDS.get(name, name)


def first_error(group: BaseException) -> BaseException:
    """The first single exception in a group: what ended a link, when several of its tasks noticed."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def one_line(text: str, most: int = 200) -> str:
    """What a peer said, as far as it may stand in a sentence of ours: cut short, and nothing in it that moves a cursor."""
    return "".join(ch if ch.isprintable() else " " for ch in text[:most])
