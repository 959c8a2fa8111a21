"""Why something did not work, in words for people: the cause at the bottom of a chain of exceptions, and never a URL."""

from __future__ import annotations

import ssl
from typing import Final

_WORDS: Final = {
    "ConnectTimeout": "no connection in time",
    "ReadTimeout": "no answer in time",
    "ReadError": "the connection broke",
    "RemoteProtocolError": "the answer is not HTTP",
}


def reason_of(error: BaseException) -> str:
    """The first cause in the chain that says something: an untrusted certificate, an error of the system, or a known kind."""
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    said = ""
    while pending:
        one = pending.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {one.verify_message}"
        if isinstance(one, OSError) and one.strerror and not isinstance(one, ssl.SSLError):
            return one.strerror
        if isinstance(one, ssl.SSLError):
            said = said or f"TLS failed: {one.reason or one}"
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
        pending += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    name = type(error).__name__
    return said or _WORDS.get(name, name)


def first_error(group: BaseException) -> BaseException:
    """The first single exception in a group: what ended a link, when several of its tasks noticed."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
