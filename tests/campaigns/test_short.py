"""Each campaign for a short while: it works when it is wanted, and a plain mistake on the order side shows at once."""

from __future__ import annotations

import os

import pytest

from tests.campaigns import crash, hostile
from tests.campaigns.setting import FAULTS


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hostile campaign's bot lives in this process: what it sets must not stay behind."""
    for name in ("CAMPAIGN_KEY", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize("faults", ["all", "usual"])
def test_o1_o2_o6_o9_o14_n10_hostile(faults: str) -> None:
    """O1, O2 and O6; all of them at once are N10, O9 and O14 as well."""
    outcome = hostile.campaign(0.2, FAULTS[faults], seed=48)
    assert outcome.violations == []
    assert outcome.figures["fills"] > 0
    assert outcome.figures["in doubt"] > 0
    assert outcome.last_line.endswith("0 violations")
    assert os.environ["CAMPAIGN_KEY"]


def test_p1_p2_crash() -> None:
    """P2: the moments are on the wire, and the same id is never used again."""
    last_line, violations = crash.campaign(5, seed=3)
    assert violations == []
    assert "5 cycles, 4 kills" in last_line
    assert last_line.endswith("0 violations")
