"""What the verbs about journals do: prove one, show its last rows, list its orders and fills, give them away as CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from coldframe.core.state.journal_codec import RestoredState, fold, order_defaults
from coldframe.enums import PositionSide
from coldframe.errors import UsageError
from coldframe.model.journal import Row, RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.build import read
from coldframe.runtime.journals import journal_path
from coldframe.trio_io.clock import wall_text
from coldframe.trio_io.journal_history import read_rows
from coldframe.units import ZERO, plain

Out = Callable[[object, Sequence[str]], None]
#: What makes a fill that fill: symbol, trade and order.
_TradeKey = tuple[str, int, int]

#: What a journal keeps of an order, and what stands for a field that its row leaves out.
_ORDER_FIELDS: Final = order_defaults()
_FIRST_COLUMNS: Final = (
    *("client_order_id", "strategy", "symbol", "side", "type", "time_in_force", "quantity", "price", "trigger_price"),
    *("reduce_only", "close_position", "position_side", "filled", "state", "order_id", "reason", "created_ns"),
)
_ORDER_COLUMNS: Final = (*_FIRST_COLUMNS, *(name for name in _ORDER_FIELDS if name not in _FIRST_COLUMNS))
_FILL_COLUMNS: Final = (
    *("order", "strategy", "symbol", "side", "price", "quantity", "fee", "fee_asset", "maker"),
    *("trade_id", "order_id", "trade_ms", "position_side", "position", "cause", "shares"),
)
_ROW_COLUMNS: Final = ("seq", "at_ns", "kind", "ref", "body")


def verify(path: Path, out: Out) -> int:
    """`coldframe journal verify`: every hash, and that the rows fold to what the checkpoints say."""
    journal = _journal_of(path)
    past, rows = RestoredState(), 0
    for row in read_rows(journal):
        fold([row], past)
        rows = row.seq
    document = {
        "schema_version": 1,
        "verb": "journal verify",
        "rows": rows,
        "runs": past.runs,
        "orders": len(past.orders),
        "live": len(past.live),
        "positions": {f"{name or 'external'} {symbol}": str(size) for (name, symbol), size in past.held().items()},
        "ended": past.ended,
        "ok": True,
    }
    end = "the last run has ended" if past.ended else "the last run has not ended"
    out(document, [f"{journal}: {rows} rows of {past.runs} runs hold: {end}, {len(past.live)} orders live"])
    return 0


def tail(path: Path, count: int, out: Out) -> int:
    """`coldframe journal tail`: the last rows."""
    rows = deque(read_rows(_journal_of(path)), maxlen=count)
    document = {"schema_version": 1, "verb": "journal tail", "rows": [_as_dict(row) for row in rows]}
    out(document, [f"{row.seq:>7} {wall_text(row.at_ns)} {row.kind:<10} {row.ref:<28} {_short(row)}" for row in rows])
    return 0


def orders(path: Path, out: Out) -> int:
    """`coldframe journal orders`: every order as it was last seen."""
    found = _orders(read_rows(_journal_of(path)))
    out({"schema_version": 1, "verb": "journal orders", "orders": found}, [_order_line(row) for row in found])
    return 0


def fills(path: Path, out: Out) -> int:
    """`coldframe journal fills`: every fill with its fee if known; of those of others, whose position they changed."""
    found = _fills(read_rows(_journal_of(path)))
    out({"schema_version": 1, "verb": "journal fills", "fills": found}, [_fill_line(row) for row in found])
    return 0


def export(path: Path, what: str, form: str, out: Out) -> int:
    """`coldframe journal export`: rows, orders or fills as CSV or JSON."""
    rows = read_rows(_journal_of(path))
    match what:
        case "orders":
            columns: Sequence[str] = _ORDER_COLUMNS
            found = _orders(rows)
        case "fills":
            columns, found = _FILL_COLUMNS, _fills(rows)
        case _:
            columns, found = _ROW_COLUMNS, [_as_dict(row) for row in rows]
    if form == "json":
        document = {"schema_version": 1, "verb": "journal export", "what": what, what: found}
        out(document, [_json(document)])
    else:
        out({"schema_version": 1, "verb": "journal export", "what": what, what: found}, _csv(columns, found))
    return 0


def _journal_of(path: Path) -> Path:
    """The journal that is meant: the file itself, or that of a bot's configuration."""
    if path.suffix != ".toml":
        return path
    loaded = read(path)
    if loaded.findings:
        raise UsageError(f"{path} is no good configuration: try `coldframe check {path}`, or name the journal itself")
    return journal_path(loaded.config, loaded.source.base)


def _orders(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The orders as they were last seen: with the defaults that rows leave out, and the state in the word for people."""
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        held: Any = [row.body] if row.kind == RowKind.ORDER else []
        if row.kind == RowKind.CHECKPOINT:
            held = row.body["orders"]
        for body in held:
            order = {**_ORDER_FIELDS, **body}
            last[body["client_order_id"]] = {**order, "state": str(OrderState(order["state"]))}
    return [{name: order[name] for name in _ORDER_COLUMNS} for order in last.values()]


def _fills(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Every fill once. Of one of others: why it was, and by how much it changed each strategy's position (signed).

    What turns out to be a fill of ours after all is listed as such: its order says so.
    """
    found: dict[_TradeKey, dict[str, Any]] = {}
    shares: dict[_TradeKey, dict[str, Decimal]] = {}
    for row in rows:
        body: Any = row.body
        if row.kind in (RowKind.FILL, RowKind.FEE):
            fill = body["fill"]
            whole = {"position_side": "BOTH", "fee": None, "fee_asset": "", **fill}
            key = (fill["symbol"], fill["trade_id"], fill["order_id"])
            position = found[key]["position"] if key in found else body["position"]
            told = {"order": body["order"], "strategy": body["strategy"], "position": position, "cause": body.get("cause", "")}
            found[key] = {**whole, **told}
        elif row.kind == RowKind.BOOKING and body.get("trade") and body["strategy"]:
            parts = shares.setdefault((body["symbol"], *body["trade"]), {})
            parts[body["strategy"]] = parts.get(body["strategy"], ZERO) + Decimal(body["quantity"])
    for key, one in found.items():
        parts = shares.get(key, {})
        one["shares"] = {strategy: plain(parts[strategy]) for strategy in sorted(parts) if parts[strategy]}
    return [{name: row[name] for name in _FILL_COLUMNS} for row in found.values()]


def _order_line(one: Mapping[str, Any]) -> str:
    side = "" if one["position_side"] == PositionSide.BOTH else f" {one['position_side']}"
    price = f" @ {one['price']}" if one["price"] is not None else ""
    trigger = f" at {one['trigger_price']}" if one["trigger_price"] is not None else ""
    only = " close-position" if one["close_position"] else " reduce-only" if one["reduce_only"] else ""
    why = f": {one['reason']}" if one["reason"] else ""
    return (
        f"{wall_text(one['created_ns'])} {one['client_order_id']:<28} {one['strategy']:<12} {one['type']}{trigger} {one['side']}"
        f" {one['quantity']} {one['symbol']}{side}{price} {one['time_in_force']}{only}, filled {one['filled']}, {one['state']}{why}"
    )


def _fill_line(one: Mapping[str, Any]) -> str:
    role = "maker" if one["maker"] else "taker"
    fee = f", fee {one['fee']} {one['fee_asset']}" if one["fee"] is not None else ""
    cause = f", {one['cause']}" if one["cause"] else ""
    shares = "".join(f", {strategy}'s position {Decimal(part):+f}" for strategy, part in one["shares"].items())
    side = "" if one["position_side"] == PositionSide.BOTH else f" {one['position_side']}"
    return (
        f"{wall_text(one['trade_ms'] * 1_000_000)} {one['order'] or 'external':<28} {one['side']} {one['quantity']} {one['symbol']}"
        f"{side} @ {one['price']} as {role}{fee}{cause}{shares}"
    )


def _short(row: Row) -> str:
    text = _json(row.body)
    return text if len(text) <= 160 else f"{text[:157]}..."


def _as_dict(row: Row) -> dict[str, Any]:
    return {"seq": row.seq, "at_ns": row.at_ns, "kind": row.kind, "ref": row.ref, "body": row.body}


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _csv(columns: Sequence[str], found: Iterable[Mapping[str, Any]]) -> list[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in found:
        writer.writerow([_json(row[name]) if isinstance(row[name], dict) else row[name] for name in columns])
    return text.getvalue().splitlines()
