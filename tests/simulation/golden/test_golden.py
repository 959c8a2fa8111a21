"""The golden effect log does not depend on hash seeds, and every world in it does what it is there for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.golden.log import STORED, WORLDS, digest, lines

ROOT = Path(__file__).parents[3]
FIRST_SECONDS = 40


def digests(hash_seed: str) -> dict[str, str]:
    """The digests as a process of its own makes them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.golden", "--seconds", str(FIRST_SECONDS)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    made: dict[str, str] = json.loads(done.stdout)
    return made


@pytest.mark.scene
def test_three_hash_seeds_give_the_same_effects() -> None:
    first, *others = (digests(seed) for seed in ("0", "1", "4242"))
    assert list(first) == list(WORLDS)
    assert others == [first, first]


@pytest.mark.parametrize(
    ("world", "words"),
    [
        pytest.param(
            "quickstart",
            ["sent order.place", "sent order.modify", "row fill", "sent GET /fapi/v1/openOrders"],
            marks=pytest.mark.scene,
        ),
        ("protected", ["STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET", '"STOP"', "sent algoOrder.cancel", "row fill"]),
        ("troubled", ["sent algoOrder.place", "sent order.status", "UNKNOWN", "row fill"]),
        pytest.param(
            "hostile",
            ["sent userDataStream.start", "sent order.status", "-1007", "UNKNOWN", "sent GET /fapi/v1/userTrades", "row fill"],
            marks=pytest.mark.scene,
        ),
    ],
)
def test_the_effects_are_the_stored_ones(world: str, words: list[str]) -> None:
    """What goes out in 120 virtual seconds is what each world is there for, and it has not changed.

    Where it was meant to, `python -m tests.simulation.golden --write`.
    """
    log = list(lines(world))
    assert [word for word in words if not any(word in line for line in log)] == []
    assert digest(log) == json.loads(STORED.read_text())[world]


def test_every_world_has_a_stored_digest() -> None:
    assert list(json.loads(STORED.read_text())) == list(WORLDS)
