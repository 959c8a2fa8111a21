"""What a run has come to: the summary as data for `--json`, and as a few lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from coldframe.core.engine import Engine
from coldframe.core.lifecycle.shutdown import EndReport
from coldframe.core.state.orders import Order
from coldframe.core.strategies.runtime import StrategyRuntime
from coldframe.enums import PositionSide
from coldframe.exits import MEANINGS, Exit, gravest
from coldframe.model.orders import OrderState
from coldframe.runtime.build import Bot, money
from coldframe.units import NS_PER_S, trimmed

SCHEMA_VERSION = 1
_FLAT = "flat"
_NO_STOP: Final = "no stop stands at the venue"
#: States in which it is not known whether an order is at the venue.
_UNSURE: Final = frozenset({OrderState.PENDING_SUBMIT, OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.NEEDS_OPERATOR})


@attrs.frozen
class RunEnd:
    """How a run ended: duration, signal, recording_end or halt, after how long, and with what reason if there is more to say.

    `unrecorded` says why the journal does not hold the end; empty when it does.
    """

    how: str
    elapsed_ns: int
    reason: str = ""
    unrecorded: str = ""


def run_summary(bot: Bot, engine: Engine, ended: RunEnd) -> dict[str, Any]:
    """The document that `coldframe run --json` prints."""
    tally = engine.state.tally
    weight_peak, orders_peak = engine.limit_peaks
    end = engine.ending.report()
    # Once the run is over, no order is looked after any more: an order that should have ended is as unknown as any.
    unknown = len(end.left) if engine.finished else engine.orders.doubtful
    return {
        "schema_version": SCHEMA_VERSION,
        "verb": "run",
        "name": bot.config.name,
        "environment": bot.config.venue.environment,
        "orders_mode": bot.config.orders.mode,
        "ended": ended.how,
        "elapsed_s": round(ended.elapsed_ns / NS_PER_S, 3),
        "books": {
            symbol: {
                "state": local.sync.state.value,
                "update_id": local.sync.book.update_id,
                "resyncs": local.sync.resyncs,
            }
            for (symbol, rpi), local in engine.market.books.items()
            if not rpi
        },
        "events": {"received": engine.market.payloads, "dispatched": engine.strategies.dispatched},
        "strategies": {runtime.id: _strategy(runtime, engine) for runtime in engine.runtimes.all},
        "orders": {
            "sent": tally.sent,
            "acked": tally.acked,
            "rejected": tally.rejected,
            "cancelled": tally.cancelled,
            "filled": tally.filled,
            "unknown": unknown,
        },
        "limits": {"weight_1m_peak": weight_peak, "orders_10s_peak": orders_peak},
        "links": {"reconnects": engine.reconnects, "connects_held": engine.connects.held},
        "external": _external(engine),
        "end": _end(end, ended),
        "exit_code": int(exit_code(end, ended.unrecorded)),
    }


def exit_code(end: EndReport, unrecorded: str = "") -> Exit:
    """What the process answers after a run that has come to its end."""
    missing = not end.compared and (end.kept or end.positions)
    true = [
        Exit.UNSETTLED if end.left or end.owed or unrecorded or missing else Exit.DONE,
        Exit.UNPROTECTED if end.unprotected or end.position_breaks else Exit.DONE,
        Exit.MUTED if end.muted else Exit.DONE,
    ]
    return gravest(true)


def _end(end: EndReport, ended: RunEnd) -> dict[str, Any]:
    """What is left at the venue, and what is not settled."""
    return {
        "kept": [{**_order(order), "may_vanish": order.client_order_id in end.may_vanish} for order in end.kept],
        "open": [order.client_order_id for order in end.left if order.state not in _UNSURE],
        "unknown": [order.client_order_id for order in end.left if order.state in _UNSURE],
        "positions": [
            {
                "strategy": position.strategy,
                "symbol": position.symbol,
                "position_side": position.position_side.value,
                "quantity": trimmed(position.quantity),
                "unprotected": trimmed(position.unprotected),
                "covered": trimmed(min(position.covered, abs(position.quantity))),
                "stops": list(position.stops),
                "limiting_no_loss": list(position.others),
            }
            for position in end.positions
        ],
        "fills_owed": [
            {
                "order": order.client_order_id,
                "strategy": order.strategy,
                "symbol": order.symbol,
                "quantity": trimmed(order.seen_filled - order.filled),
            }
            for order in end.owed
        ],
        "disputed": list(end.position_breaks),
        "muted": list(end.muted),
        "compared": end.compared,
        "unrecorded": ended.unrecorded,
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "order": order.client_order_id,
        "strategy": order.strategy,
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "quantity": None if order.close_position else trimmed(order.quantity),
        "price": None if order.price is None else trimmed(order.price),
        "trigger_price": None if order.trigger_price is None else trimmed(order.trigger_price),
        "tag": order.tag,
    }


def _external(engine: Engine) -> dict[str, Any]:
    """What the account has that belongs to no strategy, and what had to be booked there without a fill."""
    account = engine.state.external.account
    return {
        "fills": account.fills,
        "position": {symbol: trimmed(account.net(symbol)) for symbol in sorted({name for name, _ in account.positions})},
        "funding": money(engine.state.prices.worth(account.funding)),
        "adjustments": [
            {
                "symbol": adjustment.key[0],
                "position_side": adjustment.key[1].value,
                "quantity": trimmed(adjustment.quantity),
                "cause": adjustment.cause,
            }
            for adjustment in engine.state.holdings.adjustments
        ],
        "halted": {symbol: verdict.text for symbol, verdict in sorted(engine.state.trading.symbols.items())},
        "settings": [verdict.text for _, verdict in sorted(engine.state.trading.settings.items())],
    }


def _strategy(runtime: StrategyRuntime, engine: Engine) -> dict[str, Any]:
    account = runtime.account.holdings
    return {
        "state": "muted" if runtime.muted else "halted" if runtime.halted else "running",
        "intents": runtime.intents,
        "verdicts": dict(sorted(runtime.verdicts.items())),
        "orders": runtime.orders,
        "fills": account.fills,
        "position": {symbol: trimmed(account.net(symbol)) for symbol in runtime.plugin.symbols},
        **({"sides": _sides(runtime)} if engine.state.hedge else {}),
        "realized_pnl": money(account.realized),
        "unrealized_pnl": money(account.unrealized(engine.state.mark_prices)),
        "fees": money(account.fees_paid(engine.state.prices)),
        **({"fees_estimated": unpriced} if (unpriced := engine.state.prices.unpriced(account.fees)) else {}),
        "fees_by_asset": {asset: money(amount) for asset, amount in sorted(account.fees.items())},
        "funding": money(engine.state.prices.worth(account.funding)),
        **({"left_out": runtime.throttles.left_out} if runtime.throttles is not None else {}),
        **{name: said for name, said in _troubles(runtime, engine).items() if said},
    }


def _troubles(runtime: StrategyRuntime, engine: Engine) -> dict[str, Any]:
    """What went wrong with a strategy, in words; each of them is only in the document when there is something to say."""
    verdict = engine.state.trading.account or engine.state.trading.strategies.get(runtime.id)
    return {
        "fault": runtime.fault,
        "shut": verdict.text if verdict is not None else "",
        "refusals": dict(sorted(runtime.refusals.items())),
        "held_back": dict(sorted(runtime.held_back.items())),
        "strained": dict(sorted(runtime.strain.said.items())),
        "changed_by_others": {cause.value: count for cause, count in engine.state.holdings.changes.get(runtime.id, {}).items()},
    }


def _sides(runtime: StrategyRuntime) -> dict[str, dict[str, str]]:
    """The positions of an account in hedge mode, by symbol and side."""
    positions = runtime.account.holdings.position
    return {
        symbol: {side.value: trimmed(positions(symbol, side).quantity) for side in (PositionSide.LONG, PositionSide.SHORT)}
        for symbol in runtime.plugin.symbols
    }


def _held(strategy: Mapping[str, Any]) -> str:
    """What a strategy of a summary holds, in words."""
    if "sides" in strategy:
        rows = [(f"{symbol} {side}", size) for symbol, sides in strategy["sides"].items() for side, size in sides.items()]
    else:
        rows = list(strategy["position"].items())
    return ", ".join(f"{what} {size}" for what, size in rows if size != "0") or _FLAT


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """The same summary for people, honest about what is not as it should be."""
    lines = [f"{summary['name']}: ended by {summary['ended']} after {summary['elapsed_s']:.1f} s"]
    for symbol, book in summary["books"].items():
        again = f", {book['resyncs']} resyncs" if book["resyncs"] else ""
        lines.append(f"  book {symbol}: {book['state']} at {book['update_id']}{again}")
    for name, strategy in summary["strategies"].items():
        held = _held(strategy)
        lines.append(
            f"  {name} ({strategy['state']}): {strategy['orders']} orders, {strategy['fills']} fills, {held};"
            f" realised {strategy['realized_pnl']}, unrealised {strategy['unrealized_pnl']}, fees {strategy['fees']}"
            + (f" (estimated: no price of {', '.join(strategy['fees_estimated'])})" if "fees_estimated" in strategy else "")
            + (f", funding {strategy['funding']}" if strategy["funding"] != "0" else "")
        )
        if "left_out" in strategy:
            lines.append(f"    {strategy['left_out']} events of its market left out, as its wants say")
        lines += [f"    position changed {count} times: {cause}" for cause, count in strategy.get("changed_by_others", {}).items()]
        refused = {code: count for code, count in strategy["verdicts"].items() if code not in ("ACCEPTED", "NO_CHANGE")}
        if "fault" in strategy:
            lines.append(f"    muted: {strategy['fault']}")
        if "shut" in strategy:
            lines.append(f"    takes no new risk until `coldframe resume`: {strategy['shut']}")
        lines += [
            f"    refused {count} times: {code}: {strategy.get('refusals', {}).get(code, '')}" for code, count in refused.items()
        ]
        lines += [f"    held back {count} times: {code}" for code, count in strategy.get("held_back", {}).items()]
        lines += [f"    {text}" for text in strategy.get("strained", {}).values()]
    orders = summary["orders"]
    lines.append(
        f"  orders: {orders['sent']} sent, {orders['acked']} acknowledged, {orders['filled']} filled,"
        f" {orders['cancelled']} cancelled, {orders['rejected']} rejected, {orders['unknown']} unknown"
    )
    external = summary["external"]
    held = ", ".join(f"{symbol} {size}" for symbol, size in external["position"].items() if size != "0")
    if held or external["fills"]:
        lines.append(f"  external: {external['fills']} fills, {held or 'flat'}")
    lines += [
        f"  adjusted: {adjustment['quantity']} {adjustment['symbol']}: {adjustment['cause']}"
        for adjustment in external["adjustments"]
    ]
    lines += [f"  {why}" for why in (*external["halted"].values(), *external["settings"])]
    lines += _end_lines(summary["end"])
    limits, links = summary["limits"], summary["links"]
    lines.append(
        f"  limits: at most {limits['weight_1m_peak']} weight a minute, {limits['orders_10s_peak']} orders in 10 s;"
        f" {links['reconnects']} reconnects" + (f", {links['connects_held']} held back" if links["connects_held"] else "")
    )
    if summary["exit_code"]:
        lines.append(f"  exit code {summary['exit_code']}: {MEANINGS[Exit(summary['exit_code'])]}")
    return lines


def _end_lines(end: Mapping[str, Any]) -> list[str]:
    """What is left at the venue, and what is not settled, for people."""
    lines = [f"  {_position_line(position)}" for position in end["positions"]]
    for order in end["kept"]:
        vanish = ": it may vanish, the dead man's switch is not confirmed to be off" if order["may_vanish"] else ""
        lines.append(f"  kept at the venue: {_order_text(order)}{vanish}")
    if end["open"] or end["unknown"]:
        lines.append(f"  still open at the venue, as far as is known: {', '.join([*end['open'], *end['unknown']])}")
    for owed in end["fills_owed"]:
        text = f"{owed['quantity']} {owed['symbol']} of {owed['order']} has traded, but the trades are not known"
        lines.append(f"  fills owed: {text}: the position is not what it seems; the next run asks for them")
    lines += [f"  {symbol}: the account's position differs from the bot's fills; manual check needed" for symbol in end["disputed"]]
    if not end["compared"] and (end["positions"] or end["kept"]):
        lines.append("  not compared with the account at the end: positions and kept orders may have changed")
    if end["unrecorded"]:
        lines.append(f"  the journal does not hold this end ({end['unrecorded']}): the next run takes it for a crash")
    return lines


def _position_line(position: Mapping[str, Any]) -> str:
    side = "" if position["position_side"] == PositionSide.BOTH else f" {position['position_side']}"
    text = f"position left open: {position['strategy']} {position['symbol']}{side} {position['quantity']}"
    if position["unprotected"] == "0":
        return f"{text}, protected by {', '.join(position['stops'])}"
    stops = f"stops cover {position['covered']} of it: {', '.join(position['stops'])}" if position["stops"] else _NO_STOP
    others = f"; kept, and limiting no loss: {', '.join(position['limiting_no_loss'])}" if position["limiting_no_loss"] else ""
    return f"{text}, {position['unprotected']} of it UNPROTECTED: {stops}{others}"


def _order_text(order: Mapping[str, Any]) -> str:
    quantity = order["quantity"] or "the whole position of"
    price = f" @ {order['price']}" if order["price"] is not None else ""
    trigger = f" at {order['trigger_price']}" if order["trigger_price"] is not None else ""
    tag = f", tag {order['tag']}" if order["tag"] else ""
    return f"{order['side']} {order['type']} {quantity} {order['symbol']}{price}{trigger} ({order['order']}{tag})"
