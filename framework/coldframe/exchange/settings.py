"""The settings of the embedded exchange: the table `[venue.embedded]` and those below it. They are values."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from coldframe.enums import ContractStatus
from coldframe.exchange.matching import QueueModel
from coldframe.tables import between, each_a_number, each_of, key, not_negative, one_of, positive

_NONE: Final = Decimal(0)
_HALF: Final = Decimal("0.5")
_ONE: Final = Decimal(1)


@attrs.frozen(kw_only=True)
class VenueLimits:
    """`[venue.embedded.limits]`: the budgets the embedded venue grants, as the exchange counts them."""

    weight_1m: int = key("request weight per UTC minute and address", 2400, check=positive)
    orders_10s: int = key("orders per 10 seconds and account", 300, check=positive)
    orders_1m: int = key("orders per minute and account", 1200, check=positive)


#: The calls that change orders, and how one of them may be answered amiss; see `VenueFaults`.
ORDER_CALLS: Final = ("place", "modify", "cancel")
DOUBTFUL_ANSWERS: Final = (
    "-1000", "-1001", "-1006", "-1007", "-1008", "503", "503-unavailable", "silence", "cut", "late-answer", "late-request",
)  # fmt: skip
#: The forms of an injected error answer on REST: JSON with its content type, JSON without, the text alone.
ERROR_BODIES: Final = ("json", "bare", "text")

_share: Final = between(0, 1)


@attrs.frozen(kw_only=True)
class VenueFaults:
    """`[venue.embedded.faults]`: what the embedded venue does wrong on purpose; nothing unless it is said here.

    Shares are between 0 and 1 and drawn by the venue's seed, so that a run can be repeated. Times of 0 mean never.
    """

    clock_skew_ms: int = key("how far the venue's clock runs ahead of this machine's (negative: behind)", 0)
    banned_for_s: int = key("answer every request with 418 for so many seconds after the start", 0, check=not_negative)
    orders_doubtful: Decimal = key("share of requests to place, modify or cancel that are answered amiss", _NONE, check=_share)
    doubtful_calls: list[str] = key(
        "which requests that may meet: place, modify, cancel", lambda: list(ORDER_CALLS), check=each_of(*ORDER_CALLS)
    )
    doubtful_answers: list[str] = key(
        "how they are answered, each as often as the others: -1000, -1006, -1007 or 503 (outcome unknown), -1001, -1008 or"
        " 503-unavailable (never carried out), silence, cut (the connection instead of an answer), late-answer, late-request"
        " (carried out late, too)",
        lambda: ["-1007"],
        check=each_of(*DOUBTFUL_ANSWERS),
    )
    error_bodies: list[str] = key(
        "the form of those answers on REST, each as often as the others: json, bare (JSON without its content type), text",
        lambda: ["json"],
        check=each_of(*ERROR_BODIES),
    )
    doubtful_accepted: Decimal = key("share of those of unknown outcome that are carried out all the same", _HALF, check=_share)
    late_ms: int = key("how late late-answer and late-request are", 3000, check=not_negative)
    latency_ms: int = key("how long every request takes to arrive", 0, check=not_negative)
    answers_delayed: Decimal = key(
        "share of the answers to requests about orders that come late, after reports and after one another", _NONE, check=_share
    )
    answer_delay_ms: int = key("how late they come at most", 300, check=not_negative)
    fills_duplicated: Decimal = key("share of the reports of fills that come twice", _NONE, check=_share)
    duplicate_delay_ms: int = key("how much later the second one comes at most", 1000, check=not_negative)
    events_delayed: Decimal = key("share of the private events that come late, and all behind them with them", _NONE, check=_share)
    event_delay_ms: int = key("how late they come at most", 1000, check=not_negative)
    events_reordered: bool = key("late events are overtaken by those behind them", False)
    events_dropped: Decimal = key("share of the private events that never come", _NONE, check=_share)
    private_cut_s: Decimal = key("cut the user-data streams every so many seconds", _NONE, check=not_negative)
    market_cut_s: Decimal = key("cut the market streams every so many seconds", _NONE, check=not_negative)
    api_cut_s: Decimal = key("cut the connections of the WebSocket API every so many seconds", _NONE, check=not_negative)
    cut_with_close: bool = key("send close frame 1001 before these cuts", False)
    api_cut_after_bytes: int = key(
        "cut each connection of the WebSocket API when so many bytes of requests have been read", 0, check=not_negative
    )
    sessions_revoked_s: Decimal = key("log every session off every so many seconds", _NONE, check=not_negative)
    listen_keys_expire_s: Decimal = key("let every listen key expire every so many seconds", _NONE, check=not_negative)
    listen_keys_expire_silently: bool = key("say nothing when they do", False)
    interval_growth: Decimal = key(
        "each wait for the next of these (cuts, sessions logged off, listen keys expired) is so many times the one before",
        _ONE,
        check=between(1, 10),
    )
    orders_forgotten: Decimal = key("share of the new orders that queries do not find at first", _NONE, check=_share)
    forgotten_by_query_s: Decimal = key("how long order.status answers -2013 for them", _NONE, check=not_negative)
    forgotten_by_list_s: Decimal = key("how long openOrders leaves them out", _NONE, check=not_negative)
    close_position_lag_ms: int = key(
        "how long the checks of closePosition orders lag: -4509 so long after a fill, -4130 so long after a cancel",
        0,
        check=not_negative,
    )
    orders_hidden: Decimal = key(
        "share of the new orders, conditional ones included, that stand and are hidden for a while", _NONE, check=_share
    )
    hidden_after_s: Decimal = key("how long after they were placed that begins, at most", _NONE, check=not_negative)
    hidden_for_s: list[str] = key(
        "how long it lasts: one of these for each order", lambda: ["2", "5", "8", "15", "40"], check=each_a_number
    )
    hidden_from: list[str] = key(
        "what hides them: query (of one order), list (of open ones)", lambda: ["query", "list"], check=each_of("query", "list")
    )
    blocked_after_requests: int = key("answer that many requests, then block every client, once", 0, check=not_negative)
    blocked_is_ban: bool = key("say so with 418 (a ban) instead of 429", False)
    blocked_for_s: int = key("for how many seconds", 10, check=positive)


@attrs.frozen(kw_only=True)
class VenueAccount:
    """`[[venue.embedded.accounts]]`: one account of the embedded venue, with a key of each kind."""

    name: str = key("name of the account, for the files of its keys and for logs")
    balance: Decimal = key("wallet balance at the start, in USDT", Decimal(10_000), check=not_negative)
    leverage: int = key("leverage of every symbol at the start", 20, check=between(1, 125))
    hedge_mode: bool = key("long and short positions side by side (hedge mode) instead of one-way mode", False)
    bnb_balance: Decimal = key("BNB in its futures wallet at the start, for fees", _NONE, check=not_negative)
    fee_burn: bool = key("pays its fees in BNB, with a discount of 10 %, as long as it has enough", False)
    tradfi_agreement: bool = key("it has signed the agreement on TradFi perpetuals; without it their orders get -4411", False)
    maker_fee_bps: Decimal = key("commission of a maker, in basis points of the notional", Decimal(2))
    taker_fee_bps: Decimal = key("commission of a taker, in basis points of the notional", Decimal(5))


def _one_account() -> list[VenueAccount]:
    return [VenueAccount(name="main")]


#: What can change while the embedded venue runs: about a contract, and about an account alone.
_OF_A_CONTRACT: Final = (
    "listing", "tick", "step", "min_notional", "max_amendments", "status", "brackets", "funding_interval_h", "leverage", "margin",
)  # fmt: skip
_OF_AN_ACCOUNT: Final = ("position_mode", "asset_mode", "fee_burn", "agreement")
_WORDS: Final = {
    "listing": ("listed", "pending", "delisted"),
    "status": tuple(status.value for status in ContractStatus),
    "margin": ("cross", "isolated"),
    "position_mode": ("one_way", "hedge"),
    "asset_mode": ("single", "multi"),
    "fee_burn": ("on", "off"),
    "agreement": ("signed", "unsigned"),
}
_WHOLE: Final = ("max_amendments", "funding_interval_h", "leverage")
#: The numbers that a change may name: as fine as prices are printed, and greater than any notional.
_LEAST, _GREATEST, _MOST_DIGITS = Decimal("0.00000001"), Decimal(1_000_000_000_000), 24


@attrs.frozen(kw_only=True)
class VenueChange:
    """`[[venue.embedded.changes]]`: what the exchange, or another client of an account, changes while it runs."""

    at_s: Decimal = key("so many seconds after the start", check=not_negative)
    what: str = key(
        "listing of a contract (listed, pending, delisted), its tick, step, min_notional, max_amendments (of one order; -5026"
        " beyond it) or status, brackets (a factor for every notional cap),"
        " funding_interval_h; of an account leverage and margin (cross, isolated) of a symbol, position_mode"
        " (one_way, hedge), asset_mode (single, multi), fee_burn (on, off), agreement (signed, unsigned)",
        check=one_of(*_OF_A_CONTRACT, *_OF_AN_ACCOUNT),
    )
    value: str = key("what it is from then on")
    symbol: str = key("the contract that it is about", "")
    account: str = key("the account that it is about; without one the first", "")

    def __attrs_post_init__(self) -> None:
        if self.what in _OF_A_CONTRACT and not self.symbol:
            raise ValueError(f"a change of {self.what} needs a symbol")
        words = _WORDS.get(self.what)
        if words is not None and self.value not in words:
            raise ValueError(f"{self.what} can be {' or '.join(words)}, not {self.value!r}")
        if words is None:
            self._check_number()

    def _check_number(self) -> None:
        whole = "whole " if self.what in _WHOLE else ""
        digits = self.value if whole else self.value.replace(".", "", 1)
        plain = digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS
        if not plain or not _LEAST <= Decimal(self.value) <= _GREATEST:
            least = 1 if whole else f"{_LEAST:f}"
            raise ValueError(f"{self.what} must be a {whole}number between {least} and {_GREATEST}, not {self.value[:40]!r}")

    def __str__(self) -> str:
        """What changes, in words: `tick of BTCUSDT to 0.5`."""
        of = " and ".join(name for name in (self.symbol, self.account) if name)
        return f"{self.what}{f' of {of}' if of else ''} to {self.value}"


@attrs.frozen(kw_only=True)
class EmbeddedVenue:
    """`[venue.embedded]`: the exchange inside. It listens on the loopback interface only."""

    market: str = key("where its market comes from: synthetic or recording", "synthetic", check=one_of("synthetic", "recording"))
    seed: int = key("seed of the synthetic market: the same seed gives the same market", 7, check=not_negative)
    symbols: list[str] = key("contracts it lists; empty for all that the market knows", list)
    max_connections: int = key("connections that one address may have open at once", 512, check=positive)
    pace: Decimal = key("how busy the synthetic market is, as a multiple of the usual", Decimal(1), check=positive)
    recording: str | None = key("recording to play, when the market is a recording (.jsonl, .jsonl.gz)", None, path=True)
    speed: str = key(
        'how fast a recording plays: "1" is real time, "10" ten times that, "max" as fast as the client reads; that is not'
        " deterministic, least of all with max: two runs of one recording do not give the same fills",
        "1",
    )
    queue_model: str = key(
        "where in a queue the quantity stood that is cancelled in a recording, which its book does not say: behind the bot's orders"
        " as long as anything stands there, evenly, or ahead of them",
        "behind",
        check=one_of(*QueueModel),
    )
    port: int = key("TCP port; 0 takes a free one", 0, check=between(0, 65535))
    tls_certificate: str | None = key("certificate chain (PEM); together with tls_key the venue speaks TLS", None, path=True)
    tls_key: str | None = key("private key of the certificate (PEM)", None, path=True)
    keys_dir: str | None = key("where the keys of its accounts are kept; made there once, and used again", None, path=True)
    state_dir: str | None = key(
        "where its accounts are kept, so that a restarted venue remembers orders and positions", None, path=True
    )
    unrouted: str | None = key(
        "what the old stream paths without a route serve: all, or public (book data only); unless it is said, all for `coldframe"
        " venue` and public for the venue of a bot",
        None,
        check=one_of("all", "public"),
    )
    long_ids: list[str] = key(
        "contracts whose order ids have 19 digits, more than a double holds; those of all others have 12", lambda: ["ETHUSDT"]
    )
    funding_interval_s: int = key("seconds between two funding times", 28_800, check=positive)
    session_s: int = key(
        "rehearse closes of TradFi contracts: their markets open and close in turn, each for so many seconds, and they are halted"
        " while closed; 0 shows the calendar and halts nothing",
        0,
        check=not_negative,
    )
    bnb_index: Decimal = key(
        "price of BNB in US dollars for fees, where the venue lists no BNBUSDT contract", Decimal(600), check=positive
    )
    ping_interval_s: Decimal = key("seconds between two pings of the server", Decimal(180), check=positive)
    pong_timeout_s: Decimal = key("seconds without a pong after which the venue drops a connection", Decimal(600), check=positive)
    link_lifetime_s: Decimal = key("seconds after which the venue closes any connection", Decimal(86_400), check=positive)
    listen_key_lifetime_s: Decimal = key(
        "seconds after which a listen key expires unless it is kept alive", Decimal(3600), check=positive
    )
    limits: VenueLimits = key("budgets", VenueLimits)
    faults: VenueFaults = key("what it does wrong on purpose", VenueFaults)
    accounts: list[VenueAccount] = key("accounts", _one_account)
    changes: list[VenueChange] = key("what changes while it runs", list)

    def __attrs_post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key come together or not at all")
        if self.speed != "max" and not (
            self.speed.isascii() and self.speed.replace(".", "", 1).isdigit() and Decimal(self.speed) > 0
        ):
            raise ValueError(f'speed must be a number above 0 or "max", not {self.speed!r}')
        if self.market == "recording" and self.recording is None:
            raise ValueError("market is a recording, but no recording is named")
        names = [account.name for account in self.accounts]
        if not names or len(set(names)) != len(names):
            raise ValueError("accounts need different names, and there must be one at least")
        for change in self.changes:
            if change.account and change.account not in names:
                raise ValueError(f"changes: there is no account {change.account!r}; there is {', '.join(names)}")

    def listed_later(self) -> frozenset[str]:
        """The contracts that are listed during the run, and so not from its start."""
        return frozenset(change.symbol for change in self.changes if change.what == "listing" and change.value != "delisted")
