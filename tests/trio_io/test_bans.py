"""Bans outlive a run, by host, and a malformed file stops no bot."""

from __future__ import annotations

from pathlib import Path

import pytest

from coldframe.trio_io.bans import Bans

ONE, OTHER = "https://fapi.binance.com", "wss://fstream.binance.com/market"


def test_a_ban_is_remembered_for_all_its_hosts_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "state" / "bans.json"
    Bans(path, ONE, OTHER).remember(5_000, 1_000)
    assert Bans(path, ONE).until_ms() == Bans(path, OTHER).until_ms() == 5_000
    assert Bans(path, "https://testnet.binancefuture.com").until_ms() == 0


def test_the_longer_ban_holds_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "bans.json"
    Bans(path, ONE).remember(5_000, 1_000)
    Bans(path, ONE).remember(4_000, 1_000)
    assert Bans(path, ONE).until_ms() == 5_000
    Bans(path, OTHER).remember(9_000, 6_000)
    assert Bans(path, ONE).until_ms() == 0


NO_BANS = [
    "",
    "[]",
    "{",
    '{"fapi.binance.com": "soon"}',
    '{"fapi.binance.com": null}',
    '{"fapi.binance.com": 1e400}',
    "\xff",
    "[" * 5000,
]


@pytest.mark.parametrize("text", NO_BANS, ids=lambda text: text[:30])
def test_a_file_that_makes_no_sense_is_no_ban(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bans.json"
    path.write_text(text)
    bans = Bans(path, ONE)
    assert bans.until_ms() == 0
    bans.remember(5_000, 1_000)
    assert bans.until_ms() == 5_000


def test_an_unwritable_folder_stops_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bans = Bans(tmp_path / "file" / "bans.json", ONE)
    bans.remember(5_000, 1_000)
    assert bans.until_ms() == 0
