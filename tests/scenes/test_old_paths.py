"""`coldframe venue` as a process: older clients hear everything on the old paths, and its log says that those ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from tests.exchange_server.links.cable import Stream, socket
from tests.scenes.support import PATIENCE_S, started, wait_until

CONFIG = 'config_version = 1\nname = "old"\n\n[venue]\nenvironment = "embedded"\n'


@pytest.mark.parametrize(("setting", "heard"), [("", True), ('\n[venue.embedded]\nunrouted = "public"\n', False)])
async def test_the_shipped_venue_serves_the_old_paths(tmp_path: Path, setting: str, heard: bool) -> None:
    config = tmp_path / "bot.toml"
    config.write_text(CONFIG + setting)
    with started(tmp_path, "venue", config, "--keys", tmp_path / "keys", env={}) as venue:
        await trio.to_thread.run_sync(lambda: wait_until(venue.out_file.read_text, "it says where it listens"))
        streams = json.loads(venue.out_file.read_text())["streams"]
        async with socket(f"{streams}/stream?streams=btcusdt@aggTrade/btcusdt@depth@100ms") as line:
            names, depths = set[str](), 0
            with trio.fail_after(PATIENCE_S):
                # Where trades are not heard, three seconds of depth come without one.
                while "btcusdt@aggTrade" not in names if heard else depths < 30:
                    names.add((await Stream(line).next())["stream"])
                    depths += 1
                while len(names) < 1 + heard:
                    names.add((await Stream(line).next())["stream"])
        assert names == ({"btcusdt@aggTrade", "btcusdt@depth@100ms"} if heard else {"btcusdt@depth@100ms"})
        assert venue.log.count("2026-04-23") == heard
