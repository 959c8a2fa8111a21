"""Texts from outside (file names, what a venue or a plugin says) as they may be shown to people."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with everything that moves a cursor or forges a line written out as an escape."""
    return "".join(ch if ch.isprintable() else f"\\x{ord(ch):02x}" for ch in text)
