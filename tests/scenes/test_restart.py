"""The venue dies in the middle of a run and comes back: the bot reconnects, resyncs, logs on, resolves every order, and says so."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.scenes.canary import SCENE
from tests.scenes.support import COLDFRAME, CONFIGS, ROOT, WELL, environment, free_port, live_config, venue


@pytest.mark.parametrize("remembers", [False, True], ids=["fresh ledger", "kept ledger"])
def test_n3_the_venue_is_killed_and_started_again(tmp_path: Path, home: dict[str, str], remembers: bool) -> None:
    port = free_port()
    more = ("--state", tmp_path / "ledger") if remembers else ()
    with venue(CONFIGS / "quickstart.toml", "--port", port, *more, env=home) as first:
        config = live_config(tmp_path, first)
        bot = subprocess.Popen(
            [*COLDFRAME, "run", str(config), "--live", "--for", "28s", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment({**home, "SCENE_KEY": first.api_key}),
        )
        time.sleep(6)
        first.kill()
    time.sleep(1)
    with venue(CONFIGS / "quickstart.toml", "--port", port, *more, env=home) as second:
        out, err = bot.communicate(timeout=60)
        SCENE.heard("the bot", out + err)
        # A venue that has lost orders which it had acknowledged contradicts itself: a person has to look.
        assert bot.returncode in (WELL if remembers else (3,)), err
        summary = json.loads(out)
        assert second.ask("/fapi/v1/openOrders") == []
    assert (summary["orders"]["unknown"] == 0) is remembers
    assert summary["links"]["reconnects"] >= 3
    assert all(book["state"] == "synced" and book["resyncs"] >= 1 for book in summary["books"].values())
    for said in ("order link lost", "logged on again", "open again", "synced at", "reconciled (user stream opened)"):
        assert said in err, said
    if not remembers:
        assert "the venue neither lists nor finds it" in err
