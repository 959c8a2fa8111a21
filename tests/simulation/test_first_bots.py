"""The bots that are met first behave: within their own limits, for minutes, and flat at the end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.pump import Pump

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30


def of_readme(folder: Path) -> Path:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (folder / "bot.toml").write_text(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    (folder / "scalp.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    return folder / "bot.toml"


def of_example(folder: Path) -> Path:
    """The example for the exchange itself, on paper here."""
    text = (ROOT / "configs/live.example.toml").read_text(encoding="utf-8")
    assert text.count('environment = "mainnet"') == text.count('mode = "off"') == 1
    text = text.replace('environment = "mainnet"', 'environment = "embedded"').replace('mode = "off"', 'mode = "paper"')
    (folder / "bot.toml").write_text(text)
    return folder / "bot.toml"


FIRST = {"readme": of_readme, "example": of_example, "quickstart": lambda _: ROOT / "configs/quickstart.toml"}


@pytest.mark.parametrize("which", FIRST)
def test_a_first_bot_stays_within_its_limits(which: str, tmp_path: Path) -> None:
    pump = Pump.of_config(FIRST[which](tmp_path))
    pump.run(SECONDS)
    assert pump.engine.state.tally.sent > 0
    for runtime in pump.engine.runtimes.all:
        limited = {"ORDER_RATE", "MESSAGE_RATE", "RATE_LIMIT", "OPEN_ORDERS"} & {*runtime.held_back, *runtime.verdicts}
        assert not limited, (runtime.id, runtime.held_back, runtime.verdicts)
        assert not runtime.strain.said
