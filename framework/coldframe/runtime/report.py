"""What a run has come to: the summary as data for `--json`, and as a few lines for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

from coldframe.core.engine import Engine
from coldframe.core.slots import Slot
from coldframe.runtime.build import Bot, money
from coldframe.terms import PositionSide
from coldframe.units import NS_PER_S, trimmed

SCHEMA_VERSION = 1
_FLAT = "flat"


@attrs.frozen
class Ended:
    """How a run ended: duration, signal, tape_end or halt, after how long, and with what reason if there is more to say."""

    how: str
    elapsed_ns: int
    reason: str = ""


def run_summary(bot: Bot, engine: Engine, ended: Ended) -> dict[str, Any]:
    """The document that `coldframe run --json` prints."""
    tally = engine.evidence.tally
    weight_peak, orders_peak = engine.ledger_peaks
    # Once the run is over, nobody looks after an order any more: one that was still alive is as unknown as any.
    lost = engine.orders.live if engine.finished else engine.orders.doubtful_orders
    unknown = sum(1 for _ in lost)
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
                "state": one.sync.state.value,
                "update_id": one.sync.book.update_id,
                "resyncs": one.sync.resyncs,
            }
            for (symbol, rpi), one in engine.market.books.items()
            if not rpi
        },
        "events": {"received": engine.market.received, "dispatched": engine.strategies.dispatched},
        "strategies": {slot.id: _strategy(slot, engine) for slot in engine.slots.all},
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
    }


def _external(engine: Engine) -> dict[str, Any]:
    """What the account has that is no strategy's, and what had to be booked there without a fill."""
    account = engine.evidence.external
    return {
        "fills": account.fills,
        "position": {symbol: trimmed(account.net(symbol)) for symbol in sorted({name for name, _ in account.positions})},
        "funding": money(engine.gate.prices.worth(account.funding)),
        "adjustments": [
            {"symbol": one.key[0], "position_side": one.key[1].value, "quantity": trimmed(one.quantity), "cause": one.cause}
            for one in engine.evidence.adjustments
        ],
        "halted": {symbol: verdict.text for symbol, verdict in sorted(engine.gate.latches.symbols.items())},
    }


def _strategy(slot: Slot, engine: Engine) -> dict[str, Any]:
    account = slot.trader.account
    return {
        "state": "muted" if slot.muted else "halted" if slot.halted else "running",
        "intents": slot.intents,
        "verdicts": dict(sorted(slot.verdicts.items())),
        "orders": slot.orders,
        "fills": account.fills,
        "position": {symbol: trimmed(account.net(symbol)) for symbol in slot.port.symbols},
        **({"sides": _sides(slot)} if engine.gate.hedge else {}),
        "realized_pnl": money(account.realized),
        "unrealized_pnl": money(account.unrealized(engine.gate.marks)),
        "fees": money(account.fees_paid(engine.gate.prices)),
        **({"fees_estimated": unpriced} if (unpriced := engine.gate.prices.unpriced(account.fees)) else {}),
        "fees_by_asset": {asset: money(amount) for asset, amount in sorted(account.fees.items())},
        "funding": money(engine.gate.prices.worth(account.funding)),
        **{name: said for name, said in _troubles(slot, engine).items() if said},
    }


def _troubles(slot: Slot, engine: Engine) -> dict[str, Any]:
    """What went wrong with a strategy, in words; each of them is only in the document when there is something to say."""
    shut = engine.gate.latched or engine.gate.latches.strategies.get(slot.id)
    return {
        "fault": slot.fault,
        "shut": shut.text if shut is not None else "",
        "refusals": dict(sorted(slot.refusals.items())),
        "held_back": dict(sorted(slot.held_back.items())),
    }


def _sides(slot: Slot) -> dict[str, dict[str, str]]:
    """The positions of an account in hedge mode, by symbol and side."""
    positions = slot.trader.account.position
    return {
        symbol: {side.value: trimmed(positions(symbol, side).quantity) for side in (PositionSide.LONG, PositionSide.SHORT)}
        for symbol in slot.port.symbols
    }


def _held(strategy: Mapping[str, Any]) -> str:
    """What a strategy of a summary holds, in words."""
    if "sides" in strategy:
        rows = [(f"{symbol} {side}", size) for symbol, sides in strategy["sides"].items() for side, size in sides.items()]
    else:
        rows = list(strategy["position"].items())
    return ", ".join(f"{what} {size}" for what, size in rows if size != "0") or _FLAT


def summary_lines(summary: Mapping[str, Any], still_open: Collection[str] = ()) -> list[str]:
    """The same summary for people, honest about what is not as it should be: also about orders that are `still_open`."""
    lines = [f"{summary['name']}: ended by {summary['ended']} after {summary['elapsed_s']:.1f} s"]
    for symbol, book in summary["books"].items():
        again = f", {book['resyncs']} resyncs" if book["resyncs"] else ""
        lines.append(f"  book {symbol}: {book['state']} at {book['update_id']}{again}")
    for name, one in summary["strategies"].items():
        held = _held(one)
        lines.append(
            f"  {name} ({one['state']}): {one['orders']} orders, {one['fills']} fills, {held};"
            f" realised {one['realized_pnl']}, unrealised {one['unrealized_pnl']}, fees {one['fees']}"
            + (f" (estimated: no price of {', '.join(one['fees_estimated'])})" if "fees_estimated" in one else "")
            + (f", funding {one['funding']}" if one["funding"] != "0" else "")
        )
        refused = {code: count for code, count in one["verdicts"].items() if code not in ("ACCEPTED", "NO_CHANGE")}
        if "fault" in one:
            lines.append(f"    muted: {one['fault']}")
        if "shut" in one:
            lines.append(f"    takes no new risk until `coldframe resume`: {one['shut']}")
        lines += [f"    refused {count} times: {code}: {one.get('refusals', {}).get(code, '')}" for code, count in refused.items()]
        lines += [f"    held back {count} times: {code}" for code, count in one.get("held_back", {}).items()]
    orders = summary["orders"]
    lines.append(
        f"  orders: {orders['sent']} sent, {orders['acked']} acknowledged, {orders['filled']} filled,"
        f" {orders['cancelled']} cancelled, {orders['rejected']} rejected, {orders['unknown']} unknown"
    )
    external = summary["external"]
    held = ", ".join(f"{symbol} {size}" for symbol, size in external["position"].items() if size != "0")
    if held or external["fills"]:
        lines.append(f"  external: {external['fills']} fills, {held or 'flat'}")
    lines += [f"  adjusted: {one['quantity']} {one['symbol']}: {one['cause']}" for one in external["adjustments"]]
    lines += [f"  {why}" for why in external["halted"].values()]
    open_positions = {name: _held(one) for name, one in summary["strategies"].items() if _held(one) != _FLAT}
    if open_positions:
        lines.append("  positions that stay open: " + "; ".join(f"{name} {held}" for name, held in open_positions.items()))
    if still_open:
        lines.append(f"  still open at the venue, as far as is known: {', '.join(still_open)}")
    limits, links = summary["limits"], summary["links"]
    lines.append(
        f"  limits: at most {limits['weight_1m_peak']} weight a minute, {limits['orders_10s_peak']} orders in 10 s;"
        f" {links['reconnects']} reconnects" + (f", {links['connects_held']} held back" if links["connects_held"] else "")
    )
    return lines
