"""The stage of both campaigns: a venue process with its accounts on disk, a relay before it, and a bot that trades through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
import msgspec

from tests.campaigns.relay import Passing
from tests.scenes.support import VenueProcess

_BUSY: Final = Path(__file__).with_name("busy.py")
RECV_WINDOW_MS: Final = 5_000
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
#: The largest position each strategy may hold or come to hold; each trades a symbol of its own.
LIMITS: Final = {"quoter": "0.012", "swinger": "0.1", "hand": "0.5"}

#: What the venue does wrong: the usual, each kind of trouble by itself, and everything at once.
FAULTS: Final[Mapping[str, str]] = {
    "logon": """
sessions_revoked_s = 7
api_cut_s = 11
orders_doubtful = "0.2"
doubtful_answers = ["cut", "silence"]
listen_keys_expire_s = 23
""",
    "events-lost": """
events_dropped = "0.4"
events_delayed = "0.2"
events_reordered = true
fills_duplicated = "0.3"
private_cut_s = 13
listen_keys_expire_s = 37
listen_keys_expire_silently = true
""",
    "hidden": """
orders_hidden = "0.3"
hidden_after_s = 10
orders_doubtful = "0.1"
answers_delayed = "0.2"
private_cut_s = 29
""",
    "usual": """
orders_doubtful = "0.05"
doubtful_accepted = "0.5"
fills_duplicated = "0.2"
answers_delayed = "0.3"
private_cut_s = 30
""",
    "all": """
orders_doubtful = "0.1"
doubtful_answers = ["-1007", "-1006", "-1000", "-1001", "-1008", "503", "silence", "cut", "late-answer", "late-request"]
fills_duplicated = "0.2"
answers_delayed = "0.3"
events_delayed = "0.1"
events_reordered = true
events_dropped = "0.2"
orders_forgotten = "0.2"
forgotten_by_query_s = 3
forgotten_by_list_s = 3
orders_hidden = "0.1"
hidden_after_s = 20
private_cut_s = 17
market_cut_s = 41
api_cut_s = 53
sessions_revoked_s = 71
listen_keys_expire_s = 47
""",
}


def venue_config(folder: Path, faults: str = "", seed: int = 7) -> Path:
    """A busy venue with faults (the lines of their table)."""
    path = folder / "venue.toml"
    path.write_text(
        f"""config_version = 1
name = "campaign-venue"
[venue]
environment = "embedded"
[venue.embedded]
seed = {seed}
pace = "2"
symbols = {list(SYMBOLS)}
[venue.embedded.faults]
{faults}
"""
    )
    return path


def bot_config(folder: Path, served: VenueProcess, port: int) -> Path:
    """A live bot whose every byte goes through the relay on `port`, with a journal beside its configuration."""
    path = folder / "bot.toml"
    strategies = "".join(
        f"""
[[strategies]]
id = "{name.lower()}"
plugin = "{_BUSY}:{name}"
symbols = ["{symbol}"]
budget = {{ max_position = "{LIMITS[name.lower()]}", orders_per_10s = 80 }}
params = {{ size = "{size}", every_ms = {every_ms} }}
"""
        for name, symbol, size, every_ms in (
            ("Quoter", "BTCUSDT", "0.002", 250),
            ("Swinger", "ETHUSDT", "0.05", 200),
            ("Hand", "BNBUSDT", "0.1", 300),
        )
    )
    path.write_text(
        f"""config_version = 1
name = "campaign"
[venue]
environment = "testnet"
rest_url = "http://127.0.0.1:{port}"
streams_url = "ws://127.0.0.1:{port}"
api_url = "ws://127.0.0.1:{port}/ws-fapi/v1"
[orders]
mode = "live"
api_key = "env:CAMPAIGN_KEY"
private_key = "file:{served.key_file}"
recv_window_ms = {RECV_WINDOW_MS}
grace_ms = 60_000
{strategies}
[risk]
max_order_notional = "1000"
max_gross_notional = "20000"
price_collar_pct = "5"
max_open_orders = 40
max_drawdown = "5000"
[journal]
file = "journal.db"
"""
    )
    return path


@attrs.define
class Sent:
    """A watcher of the relay that counts what reached the venue."""

    placed: Counter[str] = attrs.field(factory=Counter)
    requests: Counter[str] = attrs.field(factory=Counter)

    async def before(self, passing: Passing) -> None:
        """Lets everything pass."""

    async def after(self, passing: Passing) -> None:
        """Counts orders and other requests that have been passed on to the venue."""
        if passing.api and passing.to_venue:
            request = msgspec.json.decode(passing.text)
            self.requests[request["method"]] += 1
            if request["method"] == "order.place":
                self.placed[request["params"]["newClientOrderId"]] += 1

    @property
    def doubles(self) -> list[str]:
        """Client order ids that reached the venue more than once."""
        return [name for name, times in self.placed.items() if times > 1]
