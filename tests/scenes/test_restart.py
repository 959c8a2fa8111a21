"""The venue dies in the middle of a run and comes back: the bot reconnects, resyncs, logs on, resolves every order, and says so."""

from __future__ import annotations

from pathlib import Path

from tests.scenes.careful import bids, bot, position, ready, stops
from tests.scenes.support import CONFIGS, free_port, started, venue


def test_n3_the_venue_is_killed_and_started_again(tmp_path: Path, home: dict[str, str]) -> None:
    """It has kept its accounts: the bid and the stop of before stand, and go on as they should at the end."""
    port, kept = free_port(), ("--state", tmp_path / "accounts")
    with venue(CONFIGS / "quickstart.toml", "--port", port, *kept, env=home) as first:
        config = bot(tmp_path, first)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": first.api_key}) as running:
            ready(first, running)
            before = bids(first), stops(first)
            first.kill()
            running.wait_for("order link lost")
            with venue(CONFIGS / "quickstart.toml", "--port", port, *kept, env=home) as second:
                for told in ("logged on again", "open again", "reconciled (user stream opened)"):
                    running.wait_for(told)
                running.wait_until(lambda log: log.count("book BTCUSDT: synced at") >= 2, "the book is synced again")
                assert (bids(second), stops(second)) == before
                running.stop()
                summary = running.end(codes=(0,))
                assert (bids(second), stops(second), position(second)) == ([], before[1], 0.01)
    assert "Traceback" not in running.log
    assert summary["orders"]["unknown"] == 0
    assert summary["links"]["reconnects"] >= 3
    assert all(book["state"] == "synced" and book["resyncs"] >= 1 for book in summary["books"].values())
