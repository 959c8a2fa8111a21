"""Who may come in: every attack of a page is a row, and so is every client that adds what browsers add."""

from __future__ import annotations

import pytest

from coldframe.exchange_server.links.visitors import why_not

HOST = "127.0.0.1:9443"

#: What comes in: Host, further headers, and whether the venue speaks TLS.
WELCOME: list[tuple[str | None, dict[str, str], bool]] = [
    (HOST, {}, False),
    ("localhost:9443", {}, False),
    ("LOCALHOST:9443", {}, False),
    ("[::1]:9443", {}, False),
    ("127.0.0.1", {}, True),
    ("127.1.2.3:80", {}, False),
    (None, {}, False),
    # clients that name the address that they connect to (websocket-client for one)
    (HOST, {"origin": "http://127.0.0.1:9443"}, False),
    (HOST, {"origin": "ws://127.0.0.1:9443"}, False),
    (HOST, {"origin": "https://127.0.0.1:9443"}, True),
    ("127.0.0.1", {"origin": "http://127.0.0.1:80"}, False),
    ("localhost", {"origin": "https://LocalHost:443"}, True),
    # a person who types the address
    (HOST, {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, False),
    (HOST, {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:9443"}, False),
]

ATTACKS: list[tuple[str | None, dict[str, str], bool]] = [
    # a name of the attacker's that leads here
    ("evil.example:9443", {}, False),
    ("evil.example", {"origin": "http://evil.example"}, False),
    ("127.0.0.1.evil.example:9443", {}, False),
    ("localhost.evil.example", {}, False),
    ("evil.example/127.0.0.1", {}, False),
    ("127.0.0.1:9443@evil.example", {}, False),
    ("0.0.0.0:9443", {}, False),
    ("192.168.0.7:9443", {}, False),
    ("[::]:9443", {}, False),
    ("1270.0.0.1", {}, False),
    ("", {}, False),
    ("127.0.0.1:9443\x85", {}, False),
    ("\xb1\xb2\xb3", {}, False),
    # a page of another site, of another port, of another scheme, or of a file
    (HOST, {"origin": "http://evil.example"}, False),
    (HOST, {"origin": "https://evil.example:9443"}, False),
    (HOST, {"origin": "null"}, False),
    (HOST, {"origin": ""}, False),
    (HOST, {"origin": "file://"}, False),
    (HOST, {"origin": "http://127.0.0.1:8080"}, False),
    (HOST, {"origin": "http://localhost:9443"}, False),
    (HOST, {"origin": "https://127.0.0.1:9443"}, False),
    (HOST, {"origin": "http://127.0.0.1:9443"}, True),
    (HOST, {"origin": "http://127.0.0.1:9443, http://evil.example"}, False),
    (HOST, {"origin": "http://evil.example/@127.0.0.1:9443"}, False),
    (HOST, {"origin": "http://127.0.0.1:9443@evil.example"}, False),
    (HOST, {"origin": "http://127.0.0.1:9443.evil.example"}, False),
    (HOST, {"origin": "chrome-extension://abcdef"}, False),
    (None, {"origin": "http://127.0.0.1:9443"}, False),
    # what carries no Origin: a picture, a form, a script
    (HOST, {"sec-fetch-site": "cross-site"}, False),
    (HOST, {"sec-fetch-site": "same-site"}, False),
    (HOST, {"sec-fetch-site": "Cross-Site", "origin": "http://127.0.0.1:9443"}, False),
    (HOST, {"sec-fetch-site": ""}, False),
]


def headers_of(host: str | None, more: dict[str, str]) -> dict[str, str]:
    return more if host is None else {"host": host, **more}


@pytest.mark.parametrize(("host", "more", "secure"), WELCOME)
def test_a_client_of_this_machine_comes_in(host: str | None, more: dict[str, str], secure: bool) -> None:
    assert why_not(headers_of(host, more), secure=secure) is None


@pytest.mark.parametrize(("host", "more", "secure"), ATTACKS)
def test_a_page_of_a_browser_does_not(host: str | None, more: dict[str, str], secure: bool) -> None:
    reason = why_not(headers_of(host, more), secure=secure)
    assert reason is not None
    assert reason.isprintable()
    assert any(name in reason for name in ("Host", "Origin", "Sec-Fetch-Site"))


def test_the_words_of_a_visitor_are_cut_short() -> None:
    reason = why_not({"host": "x" * 10_000}, secure=False)
    assert reason is not None
    assert len(reason) < 300
