"""From a bot and what is found at its start to the engine's set-up: the one place that decides how an engine is made.

A run asks its venue for the facts, the pump makes them up, and a replay reads them from an input log; what the engine then does
depends on the bot, these facts and its inputs alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.metadata import version
from random import Random
from typing import TypedDict

import attrs

from coldframe.config.schema import BudgetTable, Config, RiskTable
from coldframe.core.connectivity.api_session import SessionLimits
from coldframe.core.connectivity.backoff import Chance
from coldframe.core.engine import EngineSetup
from coldframe.core.lifecycle.first_minutes import FirstMinutes
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.core.reconciliation.account_settings import AccountSettings
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.journal_codec import RestoredState
from coldframe.core.state.limits import Budget, RiskLimits, SelfCross
from coldframe.core.state.loss_limits import LossPeriod
from coldframe.core.state.protection import OrderPolicy
from coldframe.core.strategies.runtime import PluggedStrategy
from coldframe.enums import PositionMode
from coldframe.model.halting import Halt
from coldframe.model.instruments import Instruments
from coldframe.runtime.build import Bot
from coldframe.wire.codec import Census, decode
from coldframe.wire.names import StreamName
from coldframe.wire.reference import ExchangeInfo


@attrs.frozen(kw_only=True)
class RunFacts:
    """What is found out, drawn or inherited before a run begins, and fixed from then on."""

    #: What the venue answers to GET exchangeInfo: contracts and limits.
    exchange_info: bytes
    #: Start of the run in epoch milliseconds; never one that the journal has seen before.
    epoch_ms: int
    #: What all chance of the run is drawn from, the strategies' included.
    seed: str
    #: Venue time minus ours.
    clock_offset_ms: int = 0
    #: Whether the key can log on to the order session; a run without orders has none.
    can_log_on: bool = False
    #: What an earlier run on the same journal has left.
    past: RestoredState = attrs.field(factory=RestoredState)
    #: Halts that hold from before the start.
    halts: Sequence[Halt] = ()
    #: What the journal shall say of this run; see `about_run`.
    about: Mapping[str, object] = attrs.field(factory=dict)


class OfConfiguration(TypedDict):
    """The fields of an engine's set-up that a bot's configuration decides alone."""

    streams: Sequence[StreamName]
    budgets: Mapping[str, Budget]
    risk: RiskLimits
    keep_orders: bool
    on_end: OrderPolicy
    on_error: OrderPolicy
    orders_on: bool
    hedge: bool
    feed: FeedLimits
    trading: OrderSideLimits
    grace_ms: int
    first_minutes: FirstMinutes


def of_configuration(bot: Bot) -> OfConfiguration:
    """What a bot's configuration decides, for every life of its engine."""
    config = bot.config
    return OfConfiguration(
        streams=bot.streams,
        budgets={strategy.id: budget(strategy.budget) for strategy in config.strategies},
        risk=risk_limits(config.risk),
        keep_orders=config.orders.on_restart == "keep",
        on_end=OrderPolicy(config.orders.on_end),
        on_error=OrderPolicy(config.orders.on_error),
        orders_on=config.orders.mode != "off",
        hedge=config.orders.position_mode == PositionMode.HEDGE,
        feed=feed_limits(config),
        trading=trading_limits(config),
        grace_ms=config.orders.grace_ms,
        first_minutes=first_minutes(config.risk),
    )


def engine_setup(bot: Bot, facts: RunFacts, plugins: Sequence[PluggedStrategy]) -> EngineSetup:
    """The set-up of one run of a bot; `plugins` are its strategies, made for this run."""
    info = decode(ExchangeInfo, facts.exchange_info, Census())
    return EngineSetup(
        **of_configuration(bot),
        instruments=Instruments.of(info.symbols),
        plugins=plugins,
        rate_limits=tuple(info.rate_limits),
        chance=Random(facts.seed).random,
        random_of=lambda strategy: Random(f"{facts.seed}:{facts.epoch_ms}:{strategy}"),
        epoch_ms=facts.epoch_ms,
        past=facts.past,
        about=facts.about,
        clock_offset_ms=facts.clock_offset_ms,
        can_log_on=facts.can_log_on,
        halts=facts.halts,
    )


def listening_setup(
    config: Config, info: ExchangeInfo, streams: Sequence[StreamName], *, chance: Chance, epoch_ms: int, clock_offset_ms: int
) -> EngineSetup:
    """The set-up of an engine that hears streams of a venue and has neither strategies nor orders there."""
    return EngineSetup(
        streams=streams,
        instruments=Instruments.of(info.symbols),
        plugins=(),
        budgets={},
        risk=RiskLimits(),
        rate_limits=info.rate_limits,
        chance=chance,
        epoch_ms=epoch_ms,
        clock_offset_ms=clock_offset_ms,
        orders_on=False,
        feed=feed_limits(config),
    )


def about_run(config: Config) -> dict[str, object]:
    """What the journal says of a run: whose, of what, and by which configuration."""
    return {
        "name": config.name,
        "version": version("coldframe"),
        "environment": config.venue.environment,
        "orders_mode": config.orders.mode,
        "configuration": blake2b(repr(config).encode(), digest_size=16).hexdigest(),
        "strategies": [strategy.id for strategy in config.strategies],
    }


def budget(table: BudgetTable) -> Budget:
    return Budget(**{field.name: getattr(table, field.name) for field in attrs.fields(Budget)})


def risk_limits(table: RiskTable) -> RiskLimits:
    return RiskLimits(
        max_order_notional=table.max_order_notional,
        max_gross_notional=table.max_gross_notional,
        price_collar_pct=table.price_collar_pct,
        max_open_orders=table.max_open_orders,
        max_drawdown=table.max_drawdown,
        stale_book_ms=table.stale_book_ms,
        max_loss=table.max_loss,
        messages_per_10s=table.messages_per_10s,
        duplicate_ms=table.duplicate_ms,
        self_cross=SelfCross(table.self_cross),
        max_rejects=table.max_rejects,
        rejects_within_ms=table.rejects_within_s * 1000,
        losses_count=LossPeriod(table.losses_count),
    )


def first_minutes(table: RiskTable) -> FirstMinutes:
    return FirstMinutes(table.first_minutes.minutes, table.first_minutes.fraction)


def feed_limits(config: Config) -> FeedLimits:
    feeds = config.feeds
    return FeedLimits(
        streams_per_link=feeds.streams_per_link,
        rotate_after_ms=feeds.rotate_after_s * 1000,
        overlap_ms=feeds.overlap_s * 1000,
        patience=feeds.patience,
        event_times=config.venue.environment != "embedded" or config.venue.embedded.market != "recording",
        connects_per_5min=feeds.connects_per_5min,
    )


def trading_limits(config: Config) -> OrderSideLimits:
    rotate_after_ms = config.feeds.rotate_after_s * 1000
    session = SessionLimits(answer_ms=config.orders.answer_ms, rotate_after_ms=rotate_after_ms)
    orders = config.orders
    return OrderSideLimits(
        recv_window_ms=orders.recv_window_ms,
        session=session,
        dead_man_ms=orders.dead_man_s * 1000,
        external=ExternalPolicy(orders.external),
        halt_on_mismatch=orders.on_mismatch == "halt",
        account=AccountSettings(leverage=orders.leverage, margin=orders.margin),
    )
