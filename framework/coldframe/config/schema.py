"""The whole configuration as attrs classes: what a bot is. Every key has its meaning, unit and default here and nowhere else."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import attrs

from coldframe.config.secrets import REFERENCE
from coldframe.config.venue import Venue
from coldframe.ids import STRATEGY_ID
from coldframe.model.wants import LONGEST_PAUSE_MS, WIDEST_BAND_BPS
from coldframe.tables import Check, Unfit, between, key, matching, not_negative, one_of, positive

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _reference(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and REFERENCE.fullmatch(value) is None:
        raise Unfit(field.name, "must be a reference (env:NAME, file:PATH, cred:NAME, keyring:NAME), never the secret itself")


def _off_or(low: int, high: int) -> Check:
    within = between(low, high)

    def check(made: Any, field: attrs.Attribute[Any], value: Any) -> None:
        if value:
            within(made, field, value)

    return check


def _margin(made: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        one_of("cross", "isolated")(made, field, value)


def _band(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not 0 < value < WIDEST_BAND_BPS:
        raise Unfit(field.name, f"must be above 0 and below {WIDEST_BAND_BPS}, not {value}")


@attrs.frozen(kw_only=True)
class OrdersTable:
    """`[orders]`: whether orders are sent, where to, and who signs them."""

    mode: str = key(
        "off: none are sent; paper: to the embedded venue; live: to the venue itself (also needs --live)",
        "paper",
        check=one_of("off", "paper", "live"),
    )
    api_key: str | None = key("reference to the API key (live)", None, check=_reference, secret=True)
    private_key: str | None = key(
        "reference to an Ed25519 or RSA private key in PEM form (live)", None, check=_reference, secret=True
    )
    secret: str | None = key("reference to the secret of an HMAC key (live)", None, check=_reference, secret=True)
    position_mode: str = key(
        "how the account holds positions: one_way, or hedge (a long and a short one side by side); checked at the start",
        "one_way",
        check=one_of("one_way", "hedge"),
    )
    recv_window_ms: int = key("how old a request may be when the venue gets it", 5000, check=between(100, 60_000))
    answer_ms: int = key(
        "how long the answer to an order may take before its fate counts as unknown", 2000, check=between(100, 60_000)
    )
    max_age_ms: int = key("oldest market data an order may be based on when it is sent", 5000, check=between(100, 60_000))
    dead_man_s: int = key(
        "seconds without a sign of life after which the venue cancels all ordinary orders in the symbols the bot has orders in,"
        " others' too; 0: never",
        0,
        check=_off_or(10, 3600),
    )
    leverage: dict[str, int] = key("leverage each symbol must have at the venue; the start is refused where it differs", dict)
    margin: str | None = key("margin mode every traded symbol must have at the venue: cross or isolated", None, check=_margin)
    withdrawals: str = key(
        "an account that may withdraw: report says so at the start of a live run, refuse does not start",
        "report",
        check=one_of("report", "refuse"),
    )
    on_end: str = key(
        "what becomes of open orders when the run ends: keep_protective (orders that can only reduce an open position stay, all"
        " others are cancelled), cancel (all of them), or flatten (all, and positions are brought to zero)",
        "keep_protective",
        check=one_of("keep_protective", "cancel", "flatten"),
    )
    on_error: str = key(
        "the same for the orders of a strategy that raises",
        "keep_protective",
        check=one_of("keep_protective", "cancel", "flatten"),
    )
    on_restart: str = key(
        "what becomes of open orders that an earlier run has left: cancel or keep; an order that protects an open position stays"
        " until its strategy has cancelled or replaced it, or the position is gone",
        "cancel",
        check=one_of("cancel", "keep"),
    )
    external: str = key(
        "positions and orders found at the start that belong to no strategy: refuse to run, ignore them (counted as external, left"
        " alone), or adopt them for the only strategy that trades their symbol",
        "refuse",
        check=one_of("refuse", "ignore", "adopt"),
    )
    on_mismatch: str = key(
        "what happens to a symbol whose position no fills explain, once the difference is booked as external: halt (no new risk"
        " there) or continue",
        "halt",
        check=one_of("halt", "continue"),
    )
    grace_ms: int = key(
        "how long an ending run waits for its last orders to end and its positions to be zero", 3000, check=between(0, 60_000)
    )


@attrs.frozen(kw_only=True)
class StreamTable:
    """`[[streams]]`: market data the bot listens to, beyond what its strategies need anyway."""

    symbols: list[str] = key('symbols; ["*"] for all of an embedded venue; none for all-market channels', list)
    channels: list[str] = key("channels such as depth@100ms, aggTrade, kline_1m, !ticker@arr")


@attrs.frozen(kw_only=True)
class PluginTable:
    """`[[plugins]]`: a plugin that belongs to no strategy: its sinks hear what happens, its checks look at this file."""

    plugin: str = key("entry-point name, or path/to/file.py")


@attrs.frozen(kw_only=True)
class BudgetTable:
    """`budget` of a strategy: what it may do, whatever the account as a whole may."""

    max_position: Decimal | None = key(
        "largest position in one symbol, long or short, in units of its base asset", None, check=positive
    )
    max_notional: Decimal | None = key(
        "largest notional of its positions and open orders together, in the quote asset", None, check=positive
    )
    orders_per_10s: int | None = key("orders and amendments in ten seconds", None, check=positive)
    messages_per_10s: int | None = key(
        "orders, amendments and cancels in ten seconds, after which it places none; cancels are never refused", None, check=positive
    )
    max_open_orders: int | None = key("open orders of the strategy", None, check=positive)
    max_loss: Decimal | None = key("loss (see risk.losses_count), after which it takes no new risk", None, check=positive)
    max_drawdown: Decimal | None = key(
        "loss from its best moment on (see risk.losses_count), after which it takes no new risk", None, check=positive
    )


@attrs.frozen(kw_only=True)
class WantsTable:
    """`wants` of a strategy: which events of the market it is told, whatever its class declares; without any key all of them."""

    band_bps: Decimal | None = key(
        "only when a price has left the band of so many basis points around what it was at the last call",
        None,
        check=_band,
    )
    every_ms: int | None = key(
        "at most one call in so many milliseconds, after which the newest event is told",
        None,
        check=between(1, LONGEST_PAUSE_MS),
    )
    own_fills: bool = key(
        "the next event after a fill of its own is told, whatever the other keys say; alone: no other is but the first", False
    )


@attrs.frozen(kw_only=True)
class OverlayTable:
    """`[[strategies.overlays]]`: a plugin that watches over a strategy and may refuse its intents."""

    plugin: str = key("entry-point name, or path/to/file.py:Class")
    params: dict[str, Any] = key("its parameters, as the plugin's own class describes them", dict)


@attrs.frozen(kw_only=True)
class StrategyTable:
    """`[[strategies]]`: one strategy with its own symbols, budget and parameters."""

    id: str = key(
        "its name: stands in every client order id",
        check=matching(STRATEGY_ID, "1 to 16 characters a-z, 0-9, - or _, beginning with a letter or digit"),
    )
    plugin: str = key("entry-point name, or path/to/file.py:Class")
    symbols: list[str] = key('symbols it trades and hears about; ["*"] for all of an embedded venue')
    on_error: str = key(
        "what happens when it raises, beyond being muted: quarantine (its orders go as [orders] on_error says), flatten (and its"
        " positions are brought to zero), or halt (and the run ends)",
        "quarantine",
        check=one_of("quarantine", "flatten", "halt"),
    )
    hook_limit_ms: int = key(
        "how long one call of its code may take before it is muted, in real time, because everything else waits meanwhile; 0: as"
        " long as it likes",
        2000,
        check=_off_or(10, 600_000),
    )
    budget: BudgetTable = key("what it may do", BudgetTable)
    wants: WantsTable | None = key(
        "which events of on_book, on_ticker, on_trade and on_mark it is told; unset: those that its class declares, or all", None
    )
    params: dict[str, Any] = key("its parameters, as the plugin's own class describes them", dict)
    overlays: list[OverlayTable] = key("plugins that watch over it", list)


@attrs.frozen(kw_only=True)
class FirstMinutesTable:
    """`first_minutes` of `[risk]`: how a run that sends orders begins, live or on paper."""

    minutes: int = key("for how many minutes it may only use a fraction of its limits; 0: for none", 0, check=between(0, 1440))
    fraction: Decimal = key(
        "the part of max_position, max_notional, max_order_notional and max_gross_notional that it may use then",
        Decimal("0.1"),
        check=between(Decimal("0.001"), 1),
    )


@attrs.frozen(kw_only=True)
class RiskTable:
    """`[risk]`: what the account may do. Live trading demands the first five limits, and max_position of every strategy."""

    max_order_notional: Decimal | None = key("largest notional of one order, in the quote asset", None, check=positive)
    max_gross_notional: Decimal | None = key("largest notional of all positions and open orders together", None, check=positive)
    price_collar_pct: Decimal | None = key("how far a price may be from the mark price, in percent", None, check=positive)
    max_open_orders: int | None = key("open orders of all strategies together", None, check=positive)
    max_drawdown: Decimal | None = key(
        "loss from the best moment on (see losses_count), after which no new risk is taken", None, check=positive
    )
    stale_book_ms: int = key("how long ago a book may have moved for new risk to be taken on it", 2000, check=between(100, 600_000))
    max_loss: Decimal | None = key("loss (see losses_count), after which no new risk is taken", None, check=positive)
    messages_per_10s: int | None = key(
        "orders, amendments and cancels of all strategies in ten seconds; cancels are never refused", None, check=positive
    )
    duplicate_ms: int = key(
        "how long after an order the very same order of its strategy is refused as a mistake; 0: never",
        100,
        check=between(0, 60_000),
    )
    self_cross: str = key(
        "an order that would trade with another strategy's: refuse it, or send all orders with the venue's self-trade prevention"
        " expire_taker, expire_maker or expire_both",
        "refuse",
        check=one_of("refuse", "expire_taker", "expire_maker", "expire_both"),
    )
    max_rejects: int = key(
        "rejected orders of one strategy within rejects_within_s, after which it takes no new risk until it is resumed",
        20,
        check=positive,
    )
    rejects_within_s: int = key("the time in which rejected orders are counted", 60, check=between(1, 3600))
    losses_count: str = key(
        "from when on max_loss and max_drawdown are counted, over all runs on one journal: since_resume (the first run, or the last"
        " coldframe resume), or day (also since 0:00 UTC); what they have shut stays shut until coldframe resume",
        "since_resume",
        check=one_of("since_resume", "day"),
    )
    first_minutes: FirstMinutesTable = key("how a run begins: with a fraction of its limits", FirstMinutesTable)


@attrs.frozen(kw_only=True)
class FeedsTable:
    """`[feeds]`: how the market connections behave; the defaults fit the exchange."""

    streams_per_link: int = key("streams on one connection", 200, check=between(1, 1024))
    rotate_after_s: int = key("planned age of a connection, before the venue's 24 hours", 82_800, check=positive)
    overlap_s: int = key("how long both connections of a rotation run side by side at most", 30, check=positive)
    connects_per_5min: int = key(
        "connections of one kind (market streams, user stream, orders) opened in any five minutes; more of them wait",
        20,
        check=positive,
    )
    patience: int = key("multiplies how long a stream may be silent before it is taken for dead", 1, check=positive)


@attrs.frozen(kw_only=True)
class HaltTable:
    """`[halt]`: where halts are kept, and when a run counts as standing still."""

    file: str | None = key(
        "halt file; without one: halt.json in a folder of its own for this file and name, in coldframe/<name> in $XDG_STATE_HOME"
        " (~/.local/state)",
        None,
        path=True,
    )
    stuck_ms: int = key("how long a run may stand still before the log names what it stands in", 2000, check=between(200, 600_000))


@attrs.frozen(kw_only=True)
class JournalTable:
    """`[journal]`: where a bot writes down what it wants, sends and hears, so that a restart goes on where it was."""

    file: str | None = key(
        "the journal; unset, a live bot keeps it with the user's state, and one on paper only for its run", None, path=True
    )
    account: str | None = key(
        "name of the account that the orders go to; unset, it is told by environment and API key",
        None,
        check=matching(_NAME, "1 to 64 letters, digits, dots, dashes"),
    )
    rotate_mb: int = key(
        "size of the journal (MB) above which the rows before its last checkpoint move to the archive beside it", 64, check=positive
    )
    archive_mb: int = key(
        "size of the archive (MB) above which its oldest rows are deleted; 0: rows that leave the journal are deleted at once",
        2000,
        check=not_negative,
    )
    archive_days: int = key("age above which rows in the archive are deleted (days); 0: any age is kept", 0, check=not_negative)
    inputs: bool = key(
        "write an input log of every run into the folder inputs beside the journal, for coldframe replay; it grows with the market"
        " (a busy symbol: some 100 MB a day)",
        False,
    )


@attrs.frozen(kw_only=True)
class Config:
    """The whole file."""

    config_version: int = key("version of this format: 1", check=between(1, 1))
    name: str = key("name of the bot, for logs and summaries", check=matching(_NAME, "1 to 64 letters, digits, dots, dashes"))
    venue: Venue = key("which exchange", Venue)
    orders: OrdersTable = key("whether and how orders are sent", OrdersTable)
    streams: list[StreamTable] = key("market data beyond what the strategies need", list)
    strategies: list[StrategyTable] = key("the strategies", list)
    plugins: list[PluginTable] = key("plugins beside the strategies: sinks and checks", list)
    risk: RiskTable = key("what the account may do", RiskTable)
    feeds: FeedsTable = key("how the market connections behave", FeedsTable)
    halt: HaltTable = key("where halts are kept", HaltTable)
    journal: JournalTable = key("what is written down, and where", JournalTable)
