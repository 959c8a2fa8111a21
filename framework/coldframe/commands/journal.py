"""What the verbs about journals do: prove one, delete its oldest rows, show the last, list its orders and fills, export them."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from coldframe.core.state.journal_codec import fold, order_defaults
from coldframe.enums import PositionSide
from coldframe.errors import UsageError
from coldframe.model.journal import Row, RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.build import read
from coldframe.runtime.journals import journal_path
from coldframe.trio_io.clock import epoch_ns, wall_text
from coldframe.trio_io.journal_chain import SEED
from coldframe.trio_io.journal_history import JournalHistory, open_history, read_rows
from coldframe.trio_io.journal_rotation import pruned
from coldframe.trio_io.journal_segments import Segment, segment_at, segments_of
from coldframe.trio_io.journalfile import JournalFile
from coldframe.units import ZERO, plain

Out = Callable[[object, Sequence[str]], None]
#: What makes a fill that fill: symbol, trade and order.
_TradeKey = tuple[str, int, int]

#: What a journal keeps of an order, and what stands for a field that its row leaves out.
_ORDER_FIELDS: Final = order_defaults()
_FIRST_COLUMNS: Final = (
    *("client_order_id", "strategy", "symbol", "side", "type", "time_in_force", "quantity", "price", "trigger_price"),
    *("reduce_only", "close_position", "position_side", "filled", "state", "order_id", "reason", "created_ns", "tag"),
)
_ORDER_COLUMNS: Final = (*_FIRST_COLUMNS, *(name for name in _ORDER_FIELDS if name not in _FIRST_COLUMNS))
_FILL_COLUMNS: Final = (
    *("order", "strategy", "symbol", "side", "price", "quantity", "fee", "fee_asset", "maker"),
    *("trade_id", "order_id", "trade_ms", "position_side", "position", "cause", "shares", "tag"),
)
_ROW_COLUMNS: Final = ("seq", "at_ns", "kind", "ref", "body")
_DAY_NS: Final = 86_400_000_000_000


def verify(path: Path, out: Out) -> int:
    """`coldframe journal verify`: every hash, that the rows fold to what the checkpoints say, and from where on that is proved."""
    journal = _journal_of(path)
    with open_history(journal) as history:
        past = fold(history.rows())
        begin = _RunBegin.of(history)
        rows = history.last - history.first + 1
    document = {
        "schema_version": 1,
        "verb": "journal verify",
        "rows": rows,
        **begin.as_json(),
        "last": begin.last,
        "runs": past.runs,
        "orders": len(past.orders),
        "live": len(past.live),
        "positions": {f"{name or 'external'} {symbol}": str(size) for (name, symbol), size in past.held().items()},
        "ended": past.ended,
        "ok": True,
    }
    end = "the last run has ended" if past.ended else "the last run has not ended"
    out(document, [f"{journal}: {rows} rows of {past.runs} runs hold: {end}, {len(past.live)} orders live", *begin.lines()])
    return 0


def prune(path: Path, keep_days: int, out: Out) -> int:
    """`coldframe journal prune`: deletes for good what no restart needs and is older than so many days.

    Raises `JournalUnwritable` while a run has the journal, `JournalDamaged` before anything is deleted of one that does not hold.
    """
    journal = _journal_of(path)
    if segment_at(journal) is not None:
        raise UsageError(f"{journal} is a segment of an archive: name the journal that it belongs to")
    bytes_before, begun = _bytes_of(journal), _begin_of(journal)
    _prune_file(journal, max(0, epoch_ns() - keep_days * _DAY_NS))
    begin, freed = _begin_of(journal), max(0, bytes_before - _bytes_of(journal))
    gone = begin.first - begun.first
    document = {
        "schema_version": 1,
        "verb": "journal prune",
        "keep_days": keep_days,
        "deleted": gone,
        "deleted_segments": len(begun.segments) - len(begin.segments),
        "freed_bytes": freed,
        **begin.as_json(),
        "last": begin.last,
    }
    went = f"rows {begun.first} to {begin.first - 1} were deleted" if gone else f"no row was deleted: {_why_none(begin, keep_days)}"
    out(document, [f"{journal}: {went}; the disk has {freed / 1_000_000:.1f} MB more", *begin.lines()])
    return 0


def _prune_file(journal: Path, until_ns: int) -> None:
    file = JournalFile(journal, "coldframe journal prune")
    try:
        fold(read_rows(journal, file.head.first))
        deque(pruned(file, until_ns), maxlen=0)
        file.compact()
    finally:
        file.close()


@attrs.frozen
class _RunBegin:
    """From where on a journal is proved, and up to where: its first row and the hash before it."""

    first: int
    last: int
    before: bytes
    segments: list[Segment]

    @classmethod
    def of(cls, history: JournalHistory) -> _RunBegin:
        return cls(history.first, history.last, history.before, history.segments)

    def as_json(self) -> dict[str, Any]:
        segments = [{"file": str(part.path), "first": part.first, "last": part.last} for part in self.segments]
        return {"first": self.first, "before": self.before.hex(), "segments": segments}

    def lines(self) -> list[str]:
        if self.last < self.first:
            return []
        where = "the first that was ever written"
        if self.before != SEED:
            where = f"a checkpoint; the hash of row {self.first - 1}, which is not here, is {self.before.hex()}"
        archived = ""
        if self.segments:
            archived = (
                f"; rows {self.segments[0].first} to {self.segments[-1].last} are in {_counted(len(self.segments), 'segment')}"
            )
        return [f"proved from row {self.first} to row {self.last}: row {self.first} is {where}{archived}"]


def _begin_of(journal: Path) -> _RunBegin:
    with open_history(journal) as history:
        return _RunBegin.of(history)


def _bytes_of(journal: Path) -> int:
    """What a journal and its archive take up on the disk."""
    files = [journal, journal.with_name(f"{journal.name}-wal"), *(segment.path for segment in segments_of(journal))]
    return sum(file.stat().st_size for file in files if file.exists())


def _why_none(begin: _RunBegin, keep_days: int) -> str:
    if keep_days:
        return f"none that stands before a checkpoint is older than {_counted(keep_days, 'day')}, see --keep-days"
    return f"no checkpoint comes after row {begin.first}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


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
        raise UsageError(f"{path} is not a valid configuration: try `coldframe check {path}`, or name the journal itself")
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
            told["tag"] = body.get("tag", "")
            found[key] = {**whole, **told}
        elif row.kind == RowKind.BOOKING and body.get("trade") and body["strategy"]:
            parts = shares.setdefault((body["symbol"], *body["trade"]), {})
            parts[body["strategy"]] = parts.get(body["strategy"], ZERO) + Decimal(body["quantity"])
    for key, fill in found.items():
        parts = shares.get(key, {})
        fill["shares"] = {strategy: plain(parts[strategy]) for strategy in sorted(parts) if parts[strategy]}
    return [{name: row[name] for name in _FILL_COLUMNS} for row in found.values()]


def _order_line(order: Mapping[str, Any]) -> str:
    side = "" if order["position_side"] == PositionSide.BOTH else f" {order['position_side']}"
    price = f" @ {order['price']}" if order["price"] is not None else ""
    trigger = f" at {order['trigger_price']}" if order["trigger_price"] is not None else ""
    only = " close-position" if order["close_position"] else " reduce-only" if order["reduce_only"] else ""
    why = f": {order['reason']}" if order["reason"] else ""
    return (
        f"{wall_text(order['created_ns'])} {order['client_order_id']:<28} {order['strategy']:<12} {order['type']}{trigger}"
        f" {order['side']} {order['quantity']} {order['symbol']}{side}{price} {order['time_in_force']}{only}"
        f", filled {order['filled']}, {order['state']}{why}{_tagged(order)}"
    )


def _fill_line(fill: Mapping[str, Any]) -> str:
    role = "maker" if fill["maker"] else "taker"
    fee = f", fee {fill['fee']} {fill['fee_asset']}" if fill["fee"] is not None else ""
    cause = f", {fill['cause']}" if fill["cause"] else ""
    shares = "".join(f", {strategy}'s position {Decimal(part):+f}" for strategy, part in fill["shares"].items())
    side = "" if fill["position_side"] == PositionSide.BOTH else f" {fill['position_side']}"
    return (
        f"{wall_text(fill['trade_ms'] * 1_000_000)} {fill['order'] or 'external':<28} {fill['side']} {fill['quantity']}"
        f" {fill['symbol']}{side} @ {fill['price']} as {role}{fee}{cause}{shares}{_tagged(fill)}"
    )


def _tagged(found: Mapping[str, Any]) -> str:
    return f", tag {found['tag']}" if found["tag"] else ""


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
