"""The bot dies without a word and is started again: its journal and the venue tell it everything, and it goes on."""

from __future__ import annotations

import json
import re
import subprocess
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from coldframe.core.journal import fold
from coldframe.shell.journalfile import read_rows
from tests.scenes.support import COLDFRAME, CONFIGS, ROOT, WELL, VenueProcess, coldframe, environment, live_config, venue


def bot(config: Path, there: VenueProcess, home: dict[str, str], for_s: str) -> subprocess.Popen[str]:
    command = [*COLDFRAME, "run", str(config), "--live", "--for", for_s, "--json"]
    env = environment({**home, "SCENE_KEY": there.api_key})
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env)


def positions(there: VenueProcess) -> dict[str, Decimal]:
    rows = there.ask("/fapi/v3/positionRisk")
    return {row["symbol"]: Decimal(row["positionAmt"]) for row in rows if Decimal(row["positionAmt"])}


def held(summary: dict[str, Any]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in summary["strategies"].values():
        for symbol, size in one["position"].items():
            sums[symbol] = sums.get(symbol, Decimal(0)) + Decimal(size)
    return {symbol: size for symbol, size in sums.items() if size}


def test_p2_a_killed_bot_goes_on_where_it_was(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--state", tmp_path / "ledger", env=home) as there:
        config = live_config(tmp_path, there)
        first = bot(config, there, home, "60s")
        time.sleep(7)
        first.kill()
        first.communicate(timeout=10)
        left = there.ask("/fapi/v1/openOrders")
        (journal,) = Path(home["XDG_STATE_HOME"]).rglob("journal.db")
        before = fold(read_rows(journal))
        assert {one.client_order_id for one in before.live} >= {one["clientOrderId"] for one in left}
        began = time.monotonic()
        second = bot(config, there, home, "12s")
        out, err = second.communicate(timeout=60)
        assert second.returncode in WELL, err
        assert time.monotonic() - began < 20
        summary = json.loads(out)
        assert there.ask("/fapi/v1/openOrders") == []
        assert held(summary) == positions(there)
        trades = {symbol: there.ask("/fapi/v1/userTrades", symbol=symbol, limit=1000) for symbol in ("BTCUSDT", "ETHUSDT")}
        assert sum(one["fills"] for one in summary["strategies"].values()) == sum(map(len, trades.values()))
        placed = [one for symbol in trades for one in there.ask("/fapi/v1/allOrders", symbol=symbol)]
    assert re.search(rf"journal {journal}: 1 earlier runs; the last one has left {len(before.live)} orders to ask for", err)
    assert summary["orders"]["unknown"] == 0
    assert summary["orders"]["sent"] > 0, "it traded on"
    after = fold(read_rows(journal))
    assert (after.ended, after.runs, after.live) == (True, 2, [])
    assert {one["clientOrderId"] for one in placed} <= set(after.orders)


def test_p8_a_second_bot_on_the_account_is_refused(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        first = bot(config, there, home, "60s")
        time.sleep(3)
        other = tmp_path / "other.toml"
        other.write_text(config.read_text() + '\n[journal]\nfile = "other.db"\n')
        second = bot(other, there, home, "5s")
        _, err = second.communicate(timeout=20)
        assert second.returncode == 78
        assert "another bot trades on this account" in err
        assert "Traceback" not in err
        first.terminate()
        first.communicate(timeout=10)
        assert first.returncode in WELL


def test_p8_another_key_of_the_same_account_is_the_same_account(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        first = bot(config, there, home, "60s")
        time.sleep(3)
        other = tmp_path / "other.toml"
        hmac = there.said["keys"]["hmac"]
        keys = f'private_key = "file:{there.key_file}"'
        other.write_text(config.read_text().replace(keys, 'secret = "env:SCENE_SECRET"') + '\n[journal]\nfile = "other.db"\n')
        env = {**home, "SCENE_KEY": hmac["api_key"], "SCENE_SECRET": hmac["secret"]}
        second = coldframe("run", other, "--live", "--for", "5s", env=env)
        assert second.returncode == 78
        assert "another bot trades on this account" in second.stderr
        assert there.ask("/fapi/v1/openOrders") != [], "the first one goes on"
        first.terminate()
        first.communicate(timeout=10)
        assert first.returncode in WELL
