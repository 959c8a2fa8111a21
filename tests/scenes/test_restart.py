"""The venue dies in the middle of a run and comes back: the bot reconnects, resyncs, logs on, resolves every order, and says so."""

from __future__ import annotations

from pathlib import Path

from tests.scenes.support import CONFIGS, VenueProcess, free_port, live_config, started, venue, wait_until

_SYMBOLS = ("BTCUSDT", "ETHUSDT")


def test_n3_the_venue_is_killed_and_started_again(tmp_path: Path, home: dict[str, str]) -> None:
    port, kept = free_port(), ("--state", tmp_path / "ledger")
    with venue(CONFIGS / "quickstart.toml", "--port", port, *kept, env=home) as first:
        config = live_config(tmp_path, first)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": first.api_key}) as bot:
            wait_until(_Resting(first), "an order that the bot knows to be open")
            first.kill()
            bot.wait_for("order link lost")
            with venue(CONFIGS / "quickstart.toml", "--port", port, *kept, env=home) as second:
                for told in ("logged on again", "open again", "reconciled (user stream opened)"):
                    bot.wait_for(told)
                bot.wait_until(_synced_again, "books synced again")
                bot.stop()
                summary = bot.end()
                assert second.ask("/fapi/v1/openOrders") == []
    assert summary["orders"]["unknown"] == 0
    assert summary["links"]["reconnects"] >= 3
    assert all(book["state"] == "synced" and book["resyncs"] >= 1 for book in summary["books"].values())


def _synced_again(log: str) -> bool:
    return all(log.count(f"book {symbol}: synced at") >= 2 for symbol in _SYMBOLS)


class _Resting:
    """Whether the venue lists an order that it has listed before: by then its answer has reached the bot."""

    def __init__(self, served: VenueProcess) -> None:
        self._served = served
        self._seen: set[int] = set()

    def __call__(self) -> bool:
        listed = {order["orderId"] for order in self._served.ask("/fapi/v1/openOrders")}
        stands, self._seen = bool(listed & self._seen), listed
        return stands
