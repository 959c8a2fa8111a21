"""Writes the parts of the documents that are true by construction: tables and signatures taken from the code.

Each part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; the pictures of `architecture.md` are files of their own.
Run it after a change (`python docs/generate.py`); a test fails while a document or a picture differs from the code.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import attrs
import msgspec
from pictures import PICTURES

from coldframe.config import schema
from coldframe.config import venue as venue_tables
from coldframe.core.marketdata.events import HOOK_OF
from coldframe.data.archive.datasets import DATA_SETS, DataSet
from coldframe.data.events import TELLERS
from coldframe.data.market import NUMBERS
from coldframe.data.tardis import TARDIS_TYPES
from coldframe.model import events, intents, orders, view
from coldframe.model.journal import BODIES
from coldframe.plug.hookspecs import BotHooks, StrategyHooks
from coldframe.tables import DOC
from coldframe.trio_io.journalfile import SCHEMA
from coldframe.wire import codec, rest
from coldframe.wire.api import METHODS
from coldframe.wire.codes import CODES, CodeClass
from coldframe.wire.names import StreamKind, StreamName
from coldframe.wire.requests import Request
from coldframe.wire.routes import route_of

DOCS = Path(__file__).resolve().parent

_EXAMPLES = {
    StreamKind.AGG_TRADE: ("btcusdt@aggTrade",),
    StreamKind.TRADE: ("btcusdt@trade",),
    StreamKind.MARK_PRICE: ("btcusdt@markPrice", "btcusdt@markPrice@1s", "!markPrice@arr", "!markPrice@arr@1s"),
    StreamKind.KLINE: ("btcusdt@kline_1m",),
    StreamKind.CONTINUOUS_KLINE: ("btcusdt_perpetual@continuousKline_1m",),
    StreamKind.MINI_TICKER: ("btcusdt@miniTicker", "!miniTicker@arr"),
    StreamKind.TICKER: ("btcusdt@ticker", "!ticker@arr"),
    StreamKind.BOOK_TICKER: ("btcusdt@bookTicker", "!bookTicker"),
    StreamKind.FORCE_ORDER: ("btcusdt@forceOrder", "!forceOrder@arr"),
    StreamKind.PARTIAL_DEPTH: ("btcusdt@depth5", "btcusdt@depth10@500ms", "btcusdt@depth20@100ms"),
    StreamKind.DIFF_DEPTH: ("btcusdt@depth", "btcusdt@depth@500ms", "btcusdt@depth@100ms", "btcusdt@depth@0ms"),
    StreamKind.RPI_DEPTH: ("btcusdt@rpiDepth@500ms",),
    StreamKind.COMPOSITE_INDEX: ("defiusdt@compositeIndex",),
    StreamKind.CONTRACT_INFO: ("!contractInfo",),
    StreamKind.ASSET_INDEX: ("adausd@assetIndex", "!assetIndex@arr"),
    StreamKind.TRADING_SESSION: ("tradingSession",),
}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    titles = list(head)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def code(text: object) -> str:
    return f"`{text}`"


# -- hooks ------------------------------------------------------------------------------------------------------------


def signature(name: str, function: Callable[..., Any]) -> str:
    """A hook's signature as a plugin author writes it, without `self`."""
    given = inspect.signature(function)
    parameters = [parameter for parameter in given.parameters.values() if parameter.name != "self"]
    arguments = ", ".join(f"{parameter.name}: {parameter.annotation}" for parameter in parameters)
    return f"{name}({arguments}) -> {given.return_annotation}"


def hooks(kind: type) -> str:
    parts = []
    for name, function in vars(kind).items():
        if name.startswith("_"):
            continue
        parts.append(f"### `{signature(name, function)}`\n\n{inspect.getdoc(function)}")
    return "\n\n".join(parts)


def _fields(kind: type) -> str:
    return ", ".join(f"`{field.name}`" for field in attrs.fields(kind))


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n", 1)[0]


def event_table() -> str:
    kinds = [kind for union in (events.StrategyEvent,) for kind in get_args(union)]
    return table(("event", "meaning", "fields"), ((code(kind.__name__), _first_line(kind), _fields(kind)) for kind in kinds))


def intent_table() -> str:
    kinds = get_args(intents.Intent)
    return table(("intent", "meaning", "fields"), ((code(kind.__name__), _first_line(kind), _fields(kind)) for kind in kinds))


def view_table(kind: type) -> str:
    """What a view offers, with its signatures and meanings."""
    rows = []
    for name, member in vars(kind).items():
        if name.startswith("_") or not (isinstance(member, property) or inspect.isfunction(member)):
            continue
        if isinstance(member, property):
            assert member.fget is not None
            shown = f"{name}: {inspect.signature(member.fget).return_annotation}"
        else:
            shown = signature(name, member)
        rows.append((code(shown), (inspect.getdoc(member) or "").replace("\n", " ")))
    return table(("view", "meaning"), rows)


def verdicts() -> str:
    return ", ".join(code(verdict_code.value) for verdict_code in intents.VerdictCode)


# -- the wire ---------------------------------------------------------------------------------------------------------


def stream_table() -> str:
    rows = []
    for kind, names in _EXAMPLES.items():
        parsed = [StreamName(**attrs.asdict(_parse(name))) for name in names]
        routes = {str(route_of(item)) for item in parsed}
        payload = codec.payload_class(kind).__name__
        event = _event_of(kind)
        rows.append((", ".join(code(item) for item in parsed), "/" + routes.pop(), code(payload), code(HOOK_OF[kind]), code(event)))
    return table(("streams", "route", "payload", "hook", "event"), rows)


def _parse(name: str) -> StreamName:
    from coldframe.wire.names import parse

    return parse(name)


def _event_of(kind: StreamKind) -> str:
    names = {
        StreamKind.AGG_TRADE: "TradePrinted",
        StreamKind.TRADE: "TradePrinted",
        StreamKind.MARK_PRICE: "MarkPriceChanged",
        StreamKind.KLINE: "CandleChanged",
        StreamKind.CONTINUOUS_KLINE: "CandleChanged",
        StreamKind.MINI_TICKER: "DaySummaryChanged",
        StreamKind.TICKER: "DayStatsChanged",
        StreamKind.BOOK_TICKER: "BestPriceChanged",
        StreamKind.FORCE_ORDER: "LiquidationPrinted",
        StreamKind.PARTIAL_DEPTH: "PartialBookChanged",
        StreamKind.DIFF_DEPTH: "BookChanged",
        StreamKind.RPI_DEPTH: "BookChanged",
        StreamKind.COMPOSITE_INDEX: "CompositeIndexChanged",
        StreamKind.CONTRACT_INFO: "ContractChanged",
        StreamKind.ASSET_INDEX: "AssetIndexChanged",
        StreamKind.TRADING_SESSION: "TradingSessionChanged",
    }
    return names[kind]


def parameters(request: type[Request]) -> str:
    """The parameters of a call, those that it cannot do without in bold."""
    fields = msgspec.structs.fields(request)
    named = [f"**{field.encode_name}**" if field.required else field.encode_name for field in fields]
    return ", ".join(sorted(named, key=lambda name: not name.startswith("*")))


def method_table() -> str:
    rows = ((code(method.name), method.security.value, parameters(method.request)) for method in METHODS.values())
    return table(("method", "needs", "parameters"), rows)


def endpoint_table() -> str:
    calls = rest.ENDPOINTS.values()
    rows = ((code(f"{call.verb} {call.path}"), call.security.value, parameters(call.request)) for call in calls)
    return table(("call", "needs", "parameters"), rows)


def user_event_table() -> str:
    rows = ((code(name), code(kind.__name__), _first_line(kind)) for name, kind in codec.user_event_classes().items())
    return table(("event", "class", "meaning"), rows)


def code_classes() -> str:
    counts = {kind: sum(code.kind is kind for code in CODES.values()) for kind in CodeClass}
    examples = {kind: [code for code in CODES.values() if code.kind is kind][:3] for kind in CodeClass}
    rows = (
        (
            kind.value,
            counts[kind],
            ", ".join(f"{example.number} {example.name}" for example in examples[kind]),
            "yes" if kind.definite else "no",
        )
        for kind in CodeClass
    )
    return table(("class", "codes", "such as", "certainly not accepted"), rows)


# -- the configuration --------------------------------------------------------------------------------------------------

_TABLES: tuple[tuple[str, type], ...] = (
    ("top level", schema.Config),
    ("`[venue]`", venue_tables.Venue),
    ("`[venue.embedded]`", venue_tables.EmbeddedVenue),
    ("`[[venue.embedded.accounts]]`", venue_tables.VenueAccount),
    ("`[[venue.embedded.changes]]`", venue_tables.VenueChange),
    ("`[venue.embedded.limits]`", venue_tables.VenueLimits),
    ("`[venue.embedded.faults]`", venue_tables.VenueFaults),
    ("`[orders]`", schema.OrdersTable),
    ("`[[streams]]`", schema.StreamTable),
    ("`[[strategies]]`", schema.StrategyTable),
    ("`budget` of a strategy", schema.BudgetTable),
    ("`wants` of a strategy", schema.WantsTable),
    ("`[[strategies.overlays]]`", schema.OverlayTable),
    ("`[risk]`", schema.RiskTable),
    ("`first_minutes` of `[risk]`", schema.FirstMinutesTable),
    ("`[feeds]`", schema.FeedsTable),
    ("`[halt]`", schema.HaltTable),
    ("`[journal]`", schema.JournalTable),
)


def configuration() -> str:
    parts = []
    for title, kind in _TABLES:
        rows = ((code(field.name), _type(field.type), _default(field), field.metadata[DOC]) for field in attrs.fields(kind))
        parts.append(f"### {title}\n\n" + table(("key", "type", "default", "meaning"), rows))
    return "\n\n".join(parts)


def _type(kind: Any) -> str:
    words = {"str": "text", "int": "whole number", "bool": "true or false", "Decimal": "decimal", "Any": "anything"}
    text = re.sub(r"[\w.]*\.", "", str(kind).removeprefix("<class '").removesuffix("'>"))
    text = text.replace(" | None", "").replace("list[str]", "list of texts").replace("dict[str, Any]", "table")
    if text.startswith("list["):
        return "tables"
    return words.get(text, text if text in ("list of texts", "table") else "table")


def _default(field: attrs.Attribute[Any]) -> str:
    default = field.default
    if default is attrs.NOTHING:
        return "**required**"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "empty" if default.factory in (list, dict) else "see below"
    if default is None:
        return "none"
    if isinstance(default, bool):
        return code(str(default).lower())
    return code(f'"{default}"' if isinstance(default, str) else default)


# -- data ---------------------------------------------------------------------------------------------------------------


def data_sets() -> str:
    """What each data set of the archive gives."""
    return table(("data set", "columns", "in order of", "repeated rows", "event"), map(_data_set, DATA_SETS.values()))


def _data_set(data_set: DataSet) -> tuple[str, ...]:
    columns = ", ".join(code(field.column) for field in data_set.fields)
    return code(data_set.name), columns, ", ".join(map(code, data_set.key)), str(data_set.repeats), _told(data_set.name)


def market_rows() -> str:
    """What the numbers of a row of `market` are, by its kind."""
    return table(
        ("kind", "row", "id; price, quantity, price_2, quantity_2"),
        ((kind.value, kind.name, numbers) for kind, numbers in NUMBERS.items()),
    )


def tardis_types() -> str:
    """What each data type of Tardis gives."""
    rows = (
        (code(kind.name), ", ".join(code(field.source) for field in kind.fields), code(kind.table.name), _told(kind.table.name))
        for kind in TARDIS_TYPES.values()
    )
    return table(("data type", "fields that are read", "table", "events"), rows)


def _told(name: str) -> str:
    told = TELLERS[name].events if name in TELLERS else ()
    return ", ".join(code(kind.__name__) for kind in told) or "none"


# -- documents --------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], str]] = {
    "run hooks": lambda: hooks(BotHooks),
    "strategy hooks": lambda: hooks(StrategyHooks),
    "view": lambda: view_table(view.View),
    "book view": lambda: view_table(view.BookView),
    "order view": lambda: view_table(view.OrderView),
    "events": event_table,
    "intents": intent_table,
    "verdicts": verdicts,
    "streams": stream_table,
    "methods": method_table,
    "endpoints": endpoint_table,
    "user events": user_event_table,
    "code classes": code_classes,
    "configuration": configuration,
    "data sets": data_sets,
    "market rows": market_rows,
    "tardis types": tardis_types,
    "journal rows": lambda: table(["kind", "body"], ((code(kind), text) for kind, text in BODIES.items())),
    "journal schema": lambda: "```sql\n" + SCHEMA.strip() + "\n```",
    "order table": lambda: "```mermaid\n" + orders.diagram().split("\n\n")[0].rstrip() + "\n```",
    "overlay table": lambda: "```mermaid\n" + orders.diagram().split("\n\n")[1].rstrip() + "\n```",
}
_MARK = re.compile(r"<!-- begin ([\w ]+) -->\n.*?<!-- end \1 -->", re.DOTALL)


def render(text: str) -> str:
    """A document with every generated part as the code has it now. Raises `KeyError` for an unknown part."""
    return _MARK.sub(lambda match: f"<!-- begin {match[1]} -->\n{PARTS[match[1]]()}\n<!-- end {match[1]} -->", text)


def documents() -> list[Path]:
    return sorted(DOCS.glob("*.md"))


def generated() -> dict[Path, str]:
    """Every document with generated parts and every picture, as the code has it now."""
    texts = {path: render(path.read_text(encoding="utf-8")) for path in documents()}
    return {**texts, **{DOCS / name: draw() for name, draw in PICTURES.items()}}


def main() -> int:
    for path, new in generated().items():
        if not path.exists() or path.read_text(encoding="utf-8") != new:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{path.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
