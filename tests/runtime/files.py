"""Configurations and plugins written to a folder, for tests that build bots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from coldframe.errors import ConfigError
from coldframe.runtime.build import Bot, build, read

LISTED = ("BTCUSDT", "ETHUSDT", "币安人生USDT")

PLUGINS = '''
"""Plugins for tests."""

from decimal import Decimal

import attrs

from coldframe import hookimpl


class Plain:
    """Does nothing."""

    @hookimpl
    def on_book(self, event, view):
        return None


@attrs.frozen
class Sizes:
    size: Decimal
    levels: int = 1

    def __attrs_post_init__(self):
        if self.levels == 14:
            raise ValueError("fourteen is too many")
        if self.levels == 15:
            raise RuntimeError("fifteen neither")


class Sized:
    """Has parameters."""

    Params = Sizes

    def __init__(self, params):
        if params.levels == 13:
            raise RuntimeError("thirteen levels bring bad luck")
        self.params = params

    @hookimpl
    def on_book(self, event, view):
        return None


class Misspelt:
    @hookimpl
    def on_boook(self, event, view):
        return None


class Asynchronous:
    @hookimpl
    async def on_book(self, event, view):
        return None


class Curious:
    @hookimpl
    def on_book(self, event, view, account):
        return None


class Unmarked:
    def on_book(self, event, view):
        return None
'''

EMBEDDED = """\
config_version = 1
name = "bot"

[venue]
environment = "embedded"
"""
MAINNET = EMBEDDED.replace('"embedded"', '"mainnet"')
OFF = """
[orders]
mode = "off"
"""
STRATEGY = """
[[strategies]]
id = "one"
plugin = "plugins.py:Plain"
symbols = ["BTCUSDT"]
"""


def written(folder: Path, text: str) -> Path:
    """The path of a configuration beside the plugins."""
    (folder / "plugins.py").write_text(PLUGINS)
    path = folder / "bot.toml"
    path.write_text(text)
    return path


def built(folder: Path, text: str, listed: Sequence[str] | None = LISTED, *, live: bool = False) -> Bot:
    return build(read(written(folder, text)), listed, live_allowed=live)


def found(folder: Path, text: str, listed: Sequence[str] | None = LISTED, *, live: bool = False) -> list[tuple[int, str]]:
    """Line and rest of every finding about a configuration that must not pass."""
    path = folder / "bot.toml"
    try:
        built(folder, text, listed, live=live)
    except ConfigError as error:
        rows = []
        for finding in error.findings:
            assert "\n" not in finding
            assert finding.startswith(f"{path}:")
            line, _, rest = finding.removeprefix(f"{path}:").partition(": ")
            rows.append((int(line), rest))
        return rows
    return []


def line_of(text: str, part: str, nth: int = 1) -> int:
    """The number of the nth line that holds this."""
    return [number for number, line in enumerate(text.splitlines(), 1) if part in line][nth - 1]
