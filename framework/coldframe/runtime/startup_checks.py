"""The checks before a run with an account, and the banner before a live one: what is wrong, or what it is about to do.

Everything that can be found is found before the first order could be sent: rights of the key, position mode, leverage and margin
mode against the configuration, symbols that do not trade. What is already there (orders, positions) is said.
Source: protocol.md 6.4 and 6.6; faults.md G4, G5, G9, G10, X16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from coldframe.config.schema import Config
from coldframe.core.connectivity.signing import Ed25519Signer, RsaSigner, Signer
from coldframe.errors import AuthenticationRefused, ConfigError, DecodeError, LinkRefused, VenueUnavailable
from coldframe.ids import parse_own
from coldframe.model.effects import Level
from coldframe.model.instruments import Instruments
from coldframe.runtime.build import Bot, endpoints
from coldframe.runtime.startup import refuse_ban
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.error_text import one_line
from coldframe.trio_io.rest import RestClient
from coldframe.units import exact, trimmed
from coldframe.wire.codec import Census, decode_list
from coldframe.wire.codes import describe
from coldframe.wire.replies import AccountConfig, BalanceRow, OrderReply, PositionRow, Reply, SymbolConfig

R = TypeVar("R", bound=Reply)
LogLine = Callable[[Level, str], None]

#: Symbols named one by one in a line; more of them are counted.
_NAMED: Final = 6


async def check_start(
    bot: Bot, account: AccountConfig, instruments: Instruments, rest: RestClient, clock: Clock, log: LogLine
) -> None:
    """Compares the account with the configuration, and says what is already there.

    Raises `ConfigError` with every difference at once, `AuthenticationRefused`, `VenueUnavailable` or `Banned`.
    """
    _check_rights(bot.config, account, log)
    findings = _not_trading(bot, instruments)
    orders = bot.config.orders
    if orders.leverage or orders.margin is not None:
        rows = await _ask(rest, clock, "/fapi/v1/symbolConfig", SymbolConfig)
        findings += _differences(bot, {row.symbol: row for row in rows})
    if findings:
        raise ConfigError(*findings)
    await _log_what_is_there(rest, clock, log)


async def account_at_venue(config: Config, rest: RestClient, clock: Clock) -> str:
    """What the venue itself calls the account, whichever of its keys is used; empty where it does not say."""
    rows = await _ask(rest, clock, "/fapi/v3/balance", BalanceRow)
    alias = next((row.account_alias for row in rows if isinstance(row.account_alias, str)), "")
    host = urlsplit(endpoints(config).rest).netloc
    return f"{host}-{alias}".replace(":", "-") if alias else ""


def _check_rights(config: Config, account: AccountConfig, log: LogLine) -> None:
    if account.can_withdraw is not True:
        return
    text = "the venue reports that the account may withdraw; the key of a bot needs no such permission"
    if config.orders.withdrawals == "refuse":
        raise AuthenticationRefused(f"{text} (orders.withdrawals is refuse)")
    log(Level.WARNING, text)


def _traded(bot: Bot) -> list[str]:
    return sorted({symbol for strategy in bot.strategies for symbol in strategy.symbols})


def _not_trading(bot: Bot, instruments: Instruments) -> list[str]:
    found = []
    for symbol in _traded(bot):
        instrument = instruments.get(symbol)
        if instrument is not None and not instrument.trading and bot.config.orders.mode == "live":
            found.append(f"{bot.loaded.source.path}: {symbol} does not trade: the venue says {instrument.status}")
    return found


def _differences(bot: Bot, rows: Mapping[str, SymbolConfig]) -> list[str]:
    """One line for every symbol whose leverage or margin mode is not what the configuration says, naming both."""
    orders, source = bot.config.orders, bot.loaded.source
    found = []
    for symbol, wanted in orders.leverage.items():
        row = rows.get(symbol)
        if row is None:
            found.append(source.finding(("orders", "leverage", symbol), f"the venue does not report the leverage of {symbol}"))
        elif row.leverage != wanted:
            text = f"the configuration says {wanted}, at the venue {symbol} has leverage {row.leverage}"
            found.append(source.finding(("orders", "leverage", symbol), text))
    for symbol in _traded(bot) if orders.margin is not None else ():
        row = rows.get(symbol)
        there = _margin_of(row)
        if there != orders.margin:
            text = f"the configuration says {orders.margin}, at the venue {symbol} has margin mode {there}"
            found.append(source.finding(("orders", "margin"), text))
    return found


def _margin_of(row: SymbolConfig | None) -> str:
    """The margin mode in our word; the venue says CROSSED and ISOLATED."""
    said = row.margin_type.lower() if row is not None else "unknown"
    return "cross" if said.startswith("cross") else said


async def _log_what_is_there(rest: RestClient, clock: Clock, log: LogLine) -> None:
    orders = await _ask(rest, clock, "/fapi/v1/openOrders", OrderReply)
    positions = await _ask(rest, clock, "/fapi/v3/positionRisk", PositionRow)
    held = [f"{row.symbol} {trimmed(exact(row.position_amt))}" for row in positions if exact(row.position_amt)]
    ours = sum(parse_own(order.client_order_id) is not None for order in orders)
    log(Level.INFO, f"at the venue: {len(orders)} open orders, {ours} of them the bot's; positions: {_some(held) or 'none'}")


async def _ask(rest: RestClient, clock: Clock, path: str, kind: type[R]) -> list[R]:
    try:
        answer = await rest.ask("GET", path, {})
    except LinkRefused as error:
        raise VenueUnavailable(f"the venue cannot be reached: {error}") from None
    refuse_ban(answer, clock)
    fault = answer.fault
    if fault is not None:
        raise VenueUnavailable(f"the venue does not answer {path}: {describe(fault.code)}: {one_line(fault.msg)}")
    try:
        return decode_list(kind, answer.body, Census())
    except (DecodeError, ValueError) as error:
        raise VenueUnavailable(f"what the venue answers to {path} cannot be read: {error}") from None


# -- the banner -------------------------------------------------------------------------------------------------------


def banner(bot: Bot, signer: Signer, account: AccountConfig) -> list[str]:
    """What a live run is going to do, in a few lines. Of the key only a fingerprint is shown."""
    config = bot.config
    risk, there = config.risk, endpoints(config)
    hosts = dict.fromkeys(urlsplit(url).netloc for url in (there.rest, there.streams, there.api))
    dead_man = f"{config.orders.dead_man_s} s" if config.orders.dead_man_s else "off"
    lines = [
        f"LIVE: {config.name} trades on {config.venue.environment}: {', '.join(hosts)}",
        f"  key {signer.api_key.fingerprint} ({_kind(signer)}); {_mode(account)}; dead man's switch {dead_man}",
        f"  limits: an order {_money(risk.max_order_notional)}, gross {_money(risk.max_gross_notional)},"
        f" drawdown {_money(risk.max_drawdown)}, {risk.max_open_orders} open orders, collar {_money(risk.price_collar_pct)} %",
    ]
    if risk.first_minutes.minutes:
        first = risk.first_minutes
        lines.append(f"  for the first {first.minutes} min {trimmed(first.fraction)} of the limits on orders and positions")
    for strategy in bot.strategies:
        budget = strategy.table.budget
        lines.append(
            f"  {strategy.table.id} ({strategy.part.plugin.name}) on {_some(strategy.symbols)}:"
            f" position up to {_money(budget.max_position)}, notional up to {_money(budget.max_notional)}"
        )
    return lines


def _kind(signer: Signer) -> str:
    if isinstance(signer, Ed25519Signer):
        return "Ed25519, logs on"
    return f"{'RSA' if isinstance(signer, RsaSigner) else 'HMAC'}, cannot log on: every request is signed"


def _mode(account: AccountConfig) -> str:
    position = "hedge mode" if account.dual_side_position else "one-way mode"
    return f"{position}, {'multi-assets' if account.multi_assets_margin else 'single-asset'} margin"


def _money(value: Decimal | None) -> str:
    return "without limit" if value is None else trimmed(value)


def _some(names: Sequence[Any]) -> str:
    shown = ", ".join(str(name) for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
