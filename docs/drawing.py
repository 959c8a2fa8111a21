"""A drawing as SVG: boxes with texts, lines with arrow heads, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from textwrap import wrap
from typing import Final

_FONT: Final = "-apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
#: How wide a letter is at most on average, in parts of the font size.
_LETTER: Final = 0.56

INK: Final = "#1f2933"
FAINT: Final = "#52606d"
PAPER: Final = "#ffffff"


class Drawing:
    """Shapes from back to front. Lengths are pixels; `y` grows downwards."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._width, self._height, self._title = width, height, title
        self._colours: list[str] = []
        self._shapes: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, fill: str, edge: str = FAINT, *, dashed: bool = False) -> None:
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}" stroke="{edge}"{dashes}/>'
        )

    def text(
        self, x: float, y: float, text: str, size: int = 12, colour: str = INK, *, bold: bool = False, anchor: str = "start"
    ) -> None:
        weight = ' font-weight="600"' if bold else ""
        self._shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'
        )

    def lines(self, x: float, y: float, texts: Iterable[str], size: int = 12, colour: str = FAINT, anchor: str = "start") -> float:
        """Texts below each other. Returns where the next one would stand."""
        for text in texts:
            self.text(x, y, text, size, colour, anchor=anchor)
            y += size * 1.3
        return y

    def labelled(
        self, x: float, y: float, width: float, height: float, name: str, about: str, fill: str, edge: str = FAINT
    ) -> None:
        """A box with a name and a sentence in it."""
        self.box(x, y, width, height, fill, edge)
        self.text(x + 12, y + 20, name, 14, bold=True)
        self.lines(x + 12, y + 37, wrapped(about, width - 24), 11)

    def path(
        self,
        points: Iterable[tuple[float, float]],
        colour: str = FAINT,
        *,
        head: bool = True,
        width: float = 1.6,
        halo: bool = True,
    ) -> None:
        """A line through points; over a halo, so that lines which cross stay apart."""
        places = " ".join(f"{x:g},{y:g}" for x, y in points)
        end = ""
        if head:
            if colour not in self._colours:
                self._colours.append(colour)
            end = f' marker-end="url(#head{self._colours.index(colour)})"'
        line = f'<polyline points="{places}" fill="none"'
        if halo:
            self._shapes.append(f'{line} stroke="{PAPER}" stroke-width="{width + 3:g}"/>')
        self._shapes.append(f'{line} stroke="{colour}" stroke-width="{width:g}"{end}/>')

    def svg(self) -> str:
        heads = "".join(
            f'<marker id="head{number}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
            f' markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.5 L8,4 L0,7.5 Z" fill="{colour}"/></marker>'
            for number, colour in enumerate(self._colours)
        )
        size = f'width="{self._width}" height="{self._height}" viewBox="0 0 {self._width} {self._height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{_FONT}">'
        title = f"<title>{escape(self._title)}</title>"
        paper = f'<rect width="{self._width}" height="{self._height}" rx="8" fill="{PAPER}"/>'
        return "\n".join([head, title, f"<defs>{heads}</defs>", paper, *self._shapes, "</svg>"]) + "\n"


def wrapped(text: str, width: float, size: int = 11) -> list[str]:
    """A text in lines that are no wider than so many pixels."""
    return wrap(text, int(width / (size * _LETTER)))
