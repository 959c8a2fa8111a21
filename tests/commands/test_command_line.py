"""The command line itself: help, version, and what is not a command."""

from __future__ import annotations

from tests.commands.here import CONFIGS, coldframe


def test_help_and_version_are_there() -> None:
    assert "run a bot" in coldframe("--help").stdout
    assert coldframe("--version").stdout.startswith("coldframe ")
    assert coldframe().returncode == 2
    assert coldframe("fly").returncode == 2
    assert coldframe("run", CONFIGS / "quickstart.toml", "--for", "soon").returncode == 2
