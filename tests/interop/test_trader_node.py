"""NautilusTrader, unmodified but for its addresses: the version for Python 3.11, and the newest where a newer Python is there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from coldframe.exchange_server import Address
from tests.interop.conftest import NAUTILUS, Installing
from tests.interop.pythons import bare

pytestmark = pytest.mark.interop

SCENE = Path(__file__).with_name("nautilus_scene.py")
SCENE_S = 90
STEPS = {"instrument", "quote", "trade", "accepted", "canceled", "filled", "flat"}


@pytest.mark.parametrize("version", NAUTILUS)
def test_a_node_trades_on_the_venue(address: Address, nautilus: Installing, version: str) -> None:
    if version not in nautilus:
        pytest.skip(f"NautilusTrader {version} needs Python {' or '.join(NAUTILUS[version])}, which is not on this machine")
    folder, installed = nautilus[version]
    if installed.result():
        pytest.skip(f"NautilusTrader {version} could not be installed: {installed.result()}")
    keys = address.accounts[0]
    scene = {
        "rest": address.rest,
        "streams": address.streams,
        "api": address.api,
        "hmac": {"key": keys.hmac_api_key, "secret": keys.hmac_secret},
    }
    done = subprocess.run(
        [str(folder / "bin/python"), str(SCENE)],
        env=bare(SCENE=json.dumps(scene)),
        capture_output=True,
        text=True,
        timeout=SCENE_S,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr
    assert set(json.loads(lines[-1])) == STEPS, f"{done.stdout}\n{done.stderr}"
