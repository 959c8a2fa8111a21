"""Texts from outside cannot move a cursor or forge a line."""

from __future__ import annotations

from coldframe.texts import printable


def test_x18_printable() -> None:
    assert printable("币安 é ~") == "币安 é ~"
    assert printable("\t\r\x00\x7f\x9b") == "\\x09\\x0d\\x00\\x7f\\x9b"
