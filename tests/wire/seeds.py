"""The JSON samples of the seed documents, taken out of the documents themselves.

A sample stands in a fence, in an indented block, or in a table cell. Comments are stripped; the five samples that are not valid
JSON as printed (protocol.md 1) are mended here, each in its own way, and no other one is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import attrs

from tests.conftest import SHARED

_FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^\|\s*(\{.*?\})\s*\|", re.MULTILINE)
_INDENTED = re.compile(r"^(?P<by> {2,})[\[{] *\n(?:(?P=by).*\n?)+", re.MULTILINE)
_CHAPTER = re.compile(r"^## ([A-Z][A-Z /]+)$", re.MULTILINE)
_NAME_LINE = re.compile(r"^## Stream Name.*\n|^Stream Name\[.*\n-+\n", re.MULTILINE)


def _no_comma_at_the_end(text: str) -> str:
    return re.sub(r",(\s*[}\]])", r"\1", text)


def _comma_after(key: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf'("{key}"\s*:\s*"[^"]*")(\s*")', r"\1,\2", text)


#: Chapter of `seeds/004` to what mends its sample.
REPAIRS: dict[str, Callable[[str], str]] = {
    "AGGREGATE TRADE STREAMS": _no_comma_at_the_end,
    "MARK PRICE STREAM FOR ALL MARKET": _comma_after("i"),
    "CONTINUOUS CONTRACT KLINE CANDLESTICK STREAMS": _comma_after("ct"),
    "LIQUIDATION ORDER STREAMS": _no_comma_at_the_end,
    "ALL MARKET LIQUIDATION ORDER STREAMS": _no_comma_at_the_end,
}


@attrs.frozen
class Sample:
    """One sample: where it stands, its JSON after stripping, and what the document says about it."""

    page: str
    chapter: str
    text: str
    #: Whether it was valid JSON before it was mended.
    valid: bool
    #: The forms of stream names that the page gives above it: `<symbol>@aggTrade`.
    names: tuple[str, ...]

    @property
    def value(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def payload(self) -> bytes:
        """The sample as the venue would print it: without white space."""
        return json.dumps(json.loads(self.text), separators=(",", ":"), ensure_ascii=False).encode()

    def __str__(self) -> str:
        return f"{self.page} {self.chapter.lower()} {self.text[:24]!r}"


def pages() -> dict[str, str]:
    """The five documents: number to text; none without the shared folder."""
    return {file.name[:3]: file.read_text() for file in sorted((SHARED / "seeds").glob("*.txt"))}


def samples() -> list[Sample]:
    """Every JSON sample of every page, in order."""
    return [sample for page, text in pages().items() for sample in _samples_of(page, text)]


def leftovers(text: str) -> list[str]:
    """Lines outside all samples that look as if a JSON object stood in them."""
    for start, end in reversed(_spans(text)):
        text = text[:start] + text[end:]
    return [line for line in text.splitlines() if re.search(r'"\w+"\s*:', line)]


def _samples_of(page: str, text: str) -> Iterator[Sample]:
    for start, end in _spans(text):
        stripped = _strip(text[start:end])
        if stripped.startswith("#!"):
            continue  # the sample program in Python
        above = text[:start]
        chapter = (_CHAPTER.findall(above) or [""])[-1]
        valid = _is_json(stripped)
        if not valid and chapter in REPAIRS:
            stripped = REPAIRS[chapter](stripped)
        yield Sample(page, chapter, stripped, valid, _names_above(above, chapter))


def _spans(text: str) -> list[tuple[int, int]]:
    fences = [match.span(1) for match in _FENCE.finditer(text)]
    others = [match.span(1) for match in _CELL.finditer(text)] + [match.span() for match in _INDENTED.finditer(text)]
    return sorted(fences + [other for other in others if not any(start <= other[0] < end for start, end in fences)])


def _strip(block: str) -> str:
    """The block without comments. Fences lost their line breaks, so there a comment ends where the next token begins."""
    block = block.strip().replace("\\_", "_")
    if "\n" in block:
        return "\n".join(re.sub(r"\s*//.*$", "", line) for line in block.split("\n"))
    return re.sub(r'\s*//.*?(?=(?:\s{2,}|\t)["\[\]{}]|[\]}]+$)', "", block)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _names_above(above: str, chapter: str) -> tuple[str, ...]:
    found = list(_NAME_LINE.finditer(above))
    if not found or (chapter and found[-1].start() < above.rindex(f"## {chapter}")):
        return ()
    line = above[found[-1].end() :].strip().splitlines()[0]
    return tuple(re.findall(r"`([^`]+)`", line))
