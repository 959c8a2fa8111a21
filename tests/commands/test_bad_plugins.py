"""A plugin that raises before the start, whatever it raises: one line that names its file, from every verb that loads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.here import coldframe

CONFIG = """config_version = 1
name = "company"
[[strategies]]
id = "it"
plugin = "company.py:Company"
symbols = ["BTCUSDT"]
budget = { max_position = "0.01" }
"""
PLUGIN = """
import sys

{early}

class Company:
    def __init__(self):
        {made}
"""
LOAD = {
    "import": {"early": "raise KeyboardInterrupt"},
    "constructor": {"made": "raise KeyboardInterrupt"},
    "exit": {"early": "sys.exit(0)"},
    "generator": {"made": "raise GeneratorExit"},
}


@pytest.mark.parametrize("where", LOAD.values(), ids=LOAD.keys())
@pytest.mark.parametrize("verb", ["run", "check"])
def test_s13_a_plugin_that_raises_before_the_start_is_refused(where: dict[str, str], verb: str, tmp_path: Path) -> None:
    (tmp_path / "company.py").write_text(PLUGIN.format(**{"early": "", "made": "pass", **where}))
    (tmp_path / "bot.toml").write_text(CONFIG)
    done = coldframe(verb, tmp_path / "bot.toml")
    assert done.returncode == 78, done.stderr
    assert "company.py:" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
