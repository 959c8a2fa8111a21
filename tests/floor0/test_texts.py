"""Texts from outside cannot move a cursor or forge a line."""

from __future__ import annotations

import pytest

from coldframe.text import discreet, printable


def test_x18_printable() -> None:
    assert printable("币安 é ~") == "币安 é ~"
    assert printable("\t\r\x00\x7f\x9b") == "\\x09\\x0d\\x00\\x7f\\x9b"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("bad /order?symbol=A&signature=ab12cd34ef56&x=1", "bad /order?symbol=A&signature=...&x=1"),
        ('{"apiKey":"vmPUZE6mv9SD5VNHk4HlWFsOr6aK", "a":1}', '{"apiKey":"...", "a":1}'),
        ("X-MBX-APIKEY: vmPUZE6mv9SD5VNHk4HlWFsOr6aK", "X-MBX-APIKEY: ..."),
        ("listenKey = pqia91ma19a5s61cv6a81va65sdf19v8a65a1", "listenKey = ..."),
        ("signature=a%2Fb%2Bc%3D%3D", "signature=..."),
        ("signature=YS9iK2M+ZGVm/Zw==&", "signature=...&"),
        ("API-key format invalid.", "API-key format invalid."),
        ("Signature for this request is not valid.", "Signature for this request is not valid."),
        ("This listenKey does not exist.", "This listenKey does not exist."),
        ("Invalid API-key, IP, or permissions for action.", "Invalid API-key, IP, or permissions for action."),
    ],
)
def test_x2_what_a_venue_echoes_of_a_request_is_left_out(said: str, shown: str) -> None:
    assert discreet(said) == shown
