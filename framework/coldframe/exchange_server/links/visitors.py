"""Who may come in: clients of this machine, and no page of a browser.

A page can open a WebSocket to any address, and once a name of its own leads to the loopback address it can speak REST there as
well. So the name that a client asked for must be one of this machine, and what a browser adds to say on whose behalf it asks must
name the venue itself. Other clients add nothing of the kind, or name the address that they connect to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: Names of this machine, as they stand in a Host header, and the port.
_OURS: Final = re.compile(r"(localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_ORIGIN: Final = re.compile(r"(https?|wss?)://([^/?#@]+)", re.IGNORECASE)
#: White space round the value of a header.
_BLANKS: Final = " \t"
#: What a browser says of a request that no page of another site has caused.
_OWN_SITE: Final = ("none", "same-origin")

Place = tuple[bool, str, int]


def why_not(headers: Mapping[str, str], *, secure: bool) -> str | None:
    """Why a request is refused, in one sentence; None when it may come in. Names of headers are lower case."""
    host, origin, site = headers.get("host"), headers.get("origin"), headers.get("sec-fetch-site")
    here = _place(secure, host) if host is not None else None
    if host is not None and here is None:
        return f"this venue serves the machine it runs on, and Host {_shown(host)} is not a name of it"
    if origin is not None and (here is None or _place_of(origin) != here):
        return f"this venue serves no page of a browser, and Origin {_shown(origin)} is one"
    if site is not None and site.lower() not in _OWN_SITE:
        return f"this venue serves no page of a browser, and Sec-Fetch-Site {_shown(site)} tells of one"
    return None


def _place(secure: bool, host: str) -> Place | None:
    """A host of this machine as scheme, name and port; None for any other host."""
    match = _OURS.fullmatch(host.strip(_BLANKS))
    return (secure, match[1].lower(), int(match[2] or (443 if secure else 80))) if match else None


def _place_of(origin: str) -> Place | None:
    match = _ORIGIN.fullmatch(origin.strip(_BLANKS))
    return _place(match[1].lower() in ("https", "wss"), match[2]) if match else None


def _shown(text: str) -> str:
    """What a visitor said, as it may stand in a sentence."""
    return repr(text[:100])
