"""A configuration in which every key there is stands on a line of its own, and what is known of each from the schema."""

from __future__ import annotations

from decimal import Decimal
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import attrs

from coldframe.config.lines import Path
from coldframe.config.schema import Config
from coldframe.tables import SECRET

WHOLE = """\
# Every key, none at its default.
config_version = 1
name = "whole"

[venue]
environment = "testnet"
rest_url = "https://testnet.binancefuture.com"
streams_url = "wss://fstream.binancefuture.com"
api_url = "wss://testnet.binancefuture.com/ws-fapi/v1"
ca_file = "certs/ca.pem"

[venue.embedded]
market = "recording"
seed = 8
symbols = ["BTCUSDT"]
max_connections = 100
pace = "2"
recording = "recordings/one.jsonl.gz"
speed = "2.5"
queue_model = "evenly"
port = 8443
tls_certificate = "certs/chain.pem"
tls_key = "/etc/keys/key.pem"
keys_dir = "keys"
state_dir = "state"
unrouted = "all"
long_ids = ["BNBUSDT"]
funding_interval_s = 60
session_s = 30
bnb_index = "610"
ping_interval_s = "10"
pong_timeout_s = "20"
link_lifetime_s = "30"
listen_key_lifetime_s = "40"

[venue.embedded.limits]
weight_1m = 100
orders_10s = 10
orders_1m = 20

[venue.embedded.faults]
clock_skew_ms = -5
banned_for_s = 1
orders_doubtful = "0.1"
doubtful_calls = ["place"]
doubtful_answers = ["-1006"]
error_bodies = ["text"]
doubtful_accepted = "0.4"
late_ms = 2
latency_ms = 3
answers_delayed = "0.2"
answer_delay_ms = 4
fills_duplicated = "0.3"
duplicate_delay_ms = 5
events_delayed = "0.4"
event_delay_ms = 6
events_reordered = true
events_dropped = "0.6"
private_cut_s = 7
market_cut_s = 8
api_cut_s = 9
cut_with_close = true
api_cut_after_bytes = 10
sessions_revoked_s = 11
listen_keys_expire_s = 12
listen_keys_expire_silently = true
interval_growth = "1.5"
orders_forgotten = "0.7"
forgotten_by_query_s = 13
forgotten_by_list_s = 14
close_position_lag_ms = 17
orders_hidden = "0.8"
hidden_after_s = 18
hidden_for_s = ["19", "20.5"]
hidden_from = ["list"]
blocked_after_requests = 15
blocked_is_ban = true
blocked_for_s = 16

[[venue.embedded.accounts]]
name = "first"
balance = "1"
leverage = 1
hedge_mode = true
tradfi_agreement = true
maker_fee_bps = "-1"
bnb_balance = "3"
fee_burn = true
taker_fee_bps = "0"

[[venue.embedded.accounts]]
name = "second"

[[venue.embedded.changes]]
at_s = "1.5"
what = "leverage"
value = "7"
symbol = "BTCUSDT"
account = "second"

[orders]
mode = "live"
api_key = "env:API_KEY"
private_key = "file:key.pem"
secret = "cred:hmac"
recv_window_ms = 1000
answer_ms = 1000
position_mode = "hedge"
max_age_ms = 900
dead_man_s = 60
leverage = { BTCUSDT = 5 }
margin = "cross"
withdrawals = "refuse"
on_end = "flatten"
on_error = "cancel"
on_restart = "keep"
external = "adopt"
on_mismatch = "continue"
grace_ms = 0

[[streams]]
symbols = ["BTCUSDT"]
channels = ["aggTrade"]

[[streams]]
channels = ["!ticker@arr"]

[[plugins]]
plugin = "alerts"

[[strategies]]
id = "one"
plugin = "maker"
symbols = ["BTCUSDT"]
on_error = "halt"
hook_limit_ms = 750

[strategies.budget]
max_position = "1"
max_notional = 2
orders_per_10s = 3
messages_per_10s = 4
max_open_orders = 5
max_loss = "6.5"
max_drawdown = 7

[strategies.wants]
band_bps = "1.5"
every_ms = 250
own_fills = true

[strategies.params]
anything = { goes = [1.5, "here"] }

[[strategies.overlays]]
plugin = "guard"

[strategies.overlays.params]
also = 1.5

[[strategies]]
id = "two"
plugin = "momentum"
symbols = ["ETHUSDT"]

[[strategies.overlays]]
plugin = "guard"

[[strategies.overlays]]
plugin = "other"

[risk]
max_order_notional = "1"
max_gross_notional = "2"
price_collar_pct = "3.5"
max_open_orders = 4
max_drawdown = 5
stale_book_ms = 600
max_loss = "6"
messages_per_10s = 7
duplicate_ms = 8
self_cross = "expire_both"
max_rejects = 9
rejects_within_s = 11
losses_count = "day"

[risk.first_minutes]
minutes = 30
fraction = "0.2"

[feeds]
streams_per_link = 10
rotate_after_s = 20
overlap_s = 31
connects_per_5min = 9
patience = 40

[halt]
file = "state/halt"
stuck_ms = 700

[journal]
file = "state/journal"
rotate_mb = 16
archive_mb = 500
archive_days = 90
inputs = true
account = "main-1"
"""


@attrs.frozen
class Key:
    """One key of the text: where it stands, where its table begins, and its field in the schema."""

    line: int
    path: Path
    table_line: int
    kind: Any
    field: attrs.Attribute[Any]

    @property
    def required(self) -> bool:
        return self.field.default is attrs.NOTHING

    @property
    def secret(self) -> bool:
        return bool(self.field.metadata[SECRET])

    @property
    def name(self) -> str:
        return self.field.name


def described() -> list[Key]:
    """Every key of the text above, with what the schema says of it; free tables of plugins are left out."""
    keys: list[Key] = []
    kind: Any = Config
    table: Path = ()
    counts: dict[str, int] = {}
    header = 1
    for number, line in enumerate(WHOLE.splitlines(), 1):
        if line.startswith("["):
            header = number
            kind, table = _table(line.strip("[]").split("."), line.startswith("[["), counts)
        elif "=" in line and kind is not dict:
            name = line.partition("=")[0].strip()
            field = getattr(attrs.fields(kind), name)
            keys.append(Key(number, (*table, name), header, _plain(get_type_hints(kind)[name]), field))
    return keys


def _table(parts: list[str], array: bool, counts: dict[str, int]) -> tuple[Any, Path]:
    kind: Any = Config
    path: Path = ()
    for end, part in enumerate(parts, 1):
        kind = _plain(get_type_hints(kind)[part])
        path = (*path, part)
        if get_origin(kind) is list:
            place = f"{path}"
            counts[place] = counts.get(place, -1) + (1 if array and end == len(parts) else 0)
            path = (*path, counts[place])
            kind = get_args(kind)[0]
        elif get_origin(kind) is dict:
            kind = dict
    return kind, path


def _plain(kind: Any) -> Any:
    """A type without its None."""
    if isinstance(kind, UnionType):
        (kind,) = [member for member in get_args(kind) if member is not type(None)]
    return kind


#: For each type of a key: what does not fit it, as it is written and what is said about it.
WRONG: dict[Any, list[tuple[str, str]]] = {
    str: [("5", "must be a text, not 5"), ("true", "must be a text, not true"), ('["x"]', "must be a text, not ['x']")],
    int: [
        ('"5"', "must be a whole number, not '5'"),
        ("5.0", "must be a whole number, not 5.0"),
        ("true", "must be a whole number, not true"),
    ],
    bool: [("1", "must be true or false, not 1"), ('"true"', "must be true or false, not 'true'")],
    Decimal: [
        ("1.5", 'must be quoted so that it stays exact: "1.5"'),
        ('"1,5"', "must be a plain decimal number, not '1,5'"),
        ('"1e3"', "must be a plain decimal number, not '1e3'"),
        ("false", "must be a number, not false"),
        ("[]", "must be a number, not []"),
    ],
    list[str]: [("5", "must be a list, not 5"), ('"BTCUSDT"', "must be a list, not 'BTCUSDT'")],
    dict[str, int]: [("5", "must be a table, not 5")],
}
NO_SECRET = "must be a text, the reference to a secret"
