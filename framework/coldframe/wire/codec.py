"""Bytes to typed messages: any bytes become a message or a `DecodeError`, and nothing the venue said is lost.

Decoding goes to the class of the message at once. A cheap count of keys then tells whether the class took everything: only
when it did not (a key nobody knows, a key twice, unusual white space), or when the class holds bare numbers, does a slow
second look find out, put unknown keys into `extra`, and refuse doubled ones. Unknown keys and words are counted in a `Census`,
never fatal (protocol.md, head).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Any, Final, TypeVar, get_args, get_origin

import attrs
import msgspec
from msgspec import UNSET

from coldframe.errors import DecodeError
from coldframe.terms import OpenEnum
from coldframe.units import NUMBER, check_scalable, places
from coldframe.wire import account, streams
from coldframe.wire.names import StreamKind, StreamName
from coldframe.wire.streams import Level, Message

_Market = streams.MarketMessage
_MARKET: Final[dict[StreamKind, type[_Market]]] = {
    StreamKind.AGG_TRADE: streams.AggTrade,
    StreamKind.TRADE: streams.Trade,
    StreamKind.MARK_PRICE: streams.MarkPrice,
    StreamKind.KLINE: streams.Kline,
    StreamKind.CONTINUOUS_KLINE: streams.ContinuousKline,
    StreamKind.MINI_TICKER: streams.MiniTicker,
    StreamKind.TICKER: streams.Ticker,
    StreamKind.BOOK_TICKER: streams.BookTicker,
    StreamKind.FORCE_ORDER: streams.ForceOrder,
    StreamKind.PARTIAL_DEPTH: streams.DepthUpdate,
    StreamKind.DIFF_DEPTH: streams.DepthUpdate,
    StreamKind.RPI_DEPTH: streams.DepthUpdate,
    StreamKind.COMPOSITE_INDEX: streams.CompositeIndex,
    StreamKind.CONTRACT_INFO: streams.ContractInfo,
    StreamKind.ASSET_INDEX: streams.AssetIndex,
    StreamKind.TRADING_SESSION: streams.TradingSession,
}
_USER: Final[dict[str, type[Message]]] = {
    "ORDER_TRADE_UPDATE": account.OrderTradeUpdate,
    "TRADE_LITE": account.TradeLite,
    "ACCOUNT_UPDATE": account.AccountUpdate,
    "MARGIN_CALL": account.MarginCall,
    "ACCOUNT_CONFIG_UPDATE": account.AccountConfigUpdate,
    "listenKeyExpired": account.ListenKeyExpired,
    "ALGO_UPDATE": account.AlgoUpdate,
    "CONDITIONAL_ORDER_TRIGGER_REJECT": account.ConditionalOrderTriggerReject,
    "STRATEGY_UPDATE": account.StrategyUpdate,
    "GRID_UPDATE": account.GridUpdate,
    "serverShutdown": account.ServerShutdown,
}
_M = TypeVar("_M", bound=Message)
_DECODERS: Final[dict[type[Message], msgspec.json.Decoder[Any]]] = {}
_LIST_DECODERS: Final[dict[type[Message], msgspec.json.Decoder[Any]]] = {}
_ANYTHING: Final = msgspec.json.Decoder()
_WHITE: Final = (b" ", b"\n", b"\t", b"\r")
#: The census keeps this many different unknown words and keys, so that a hostile peer cannot grow it.
_CENSUS_LIMIT: Final = 1000

# JSON numbers stay numbers on the way out; `Decimal` is only used where the venue prints bare numbers.
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def payload_class(kind: StreamKind) -> type[streams.MarketMessage]:
    """The class of the payloads of a kind of stream."""
    return _MARKET[kind]


def user_event_classes() -> Mapping[str, type[Message]]:
    """The classes of the user-data events by event type."""
    return _USER


class Census:
    """How often the venue used a key or word that Coldframe does not know: `unknown["DepthUpdate.zz"]`."""

    def __init__(self) -> None:
        self.unknown: Counter[str] = Counter()

    def count(self, what: str) -> None:
        if what in self.unknown or len(self.unknown) < _CENSUS_LIMIT:
            self.unknown[what] += 1


def encode(message: object) -> bytes:
    """A message, or a list of them, as the venue prints it."""
    return _ENCODER.encode(message)


def decode_stream(name: StreamName, payload: bytes, census: Census) -> tuple[_Market, ...]:
    """The messages in one payload of a market stream: one, or as many as an all-market array holds.

    Which class applies is decided by the stream name: partial and diff depth look the same. Raises `DecodeError`.
    """
    kind = _MARKET[name.kind]
    if payload.lstrip()[:1] == b"[":
        return tuple(decode_list(kind, payload, census))
    return (decode(kind, payload, census),)


def decode_user(payload: bytes, census: Census) -> Message:
    """One event of the user-data stream, taken out of its envelope if it came in one.

    An event type that no table knows becomes an `UnknownEvent` and is counted. Raises `DecodeError`.
    """
    kind = _user_kind(_run(_ANYTHING, payload))
    return decode(kind, payload, census) if kind else _decode_odd_user(strictly(payload), payload, census)


def _user_kind(head: Any) -> type[Message] | None:
    """The class of a user event that needs no preparation; None for an envelope, an unknown type, or an older key."""
    event = head.get("e") if isinstance(head, dict) else None
    if not isinstance(event, str) or (event == "ALGO_UPDATE" and "ao" in head):
        return None
    return _USER.get(event)


def _decode_odd_user(head: Any, payload: bytes, census: Census) -> Message:
    if isinstance(head, dict):
        inner = head.get("data") if "stream" in head else head.get("event")
        head = inner if isinstance(inner, dict) else head
    event = head.get("e") if isinstance(head, dict) else None
    if not isinstance(event, str):
        raise DecodeError("a user event without a type", payload)
    if event == "ALGO_UPDATE" and "ao" in head and "o" not in head:
        head["o"] = head.pop("ao")
    if event in _USER:
        return decode(_USER[event], encode(head), census)
    census.count(f"event {event[:40]}")
    return account.UnknownEvent(event=event, extra={key: value for key, value in head.items() if key != "e"})


def decode(kind: type[_M], payload: bytes, census: Census) -> _M:
    """One JSON object as a message of class `kind`. Raises `DecodeError` for anything else."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    message: _M = _run(decoder, payload)
    plan = _plan(kind)
    if plan.levels:
        _check_levels(payload, message.bids, message.asks)  # type: ignore[attr-defined]
    if plan.bare or not _took_everything(message, payload):
        _second_look(message, payload, census)
    if plan.words:
        _count_words(message, census)
    return message


def decode_list(kind: type[_M], payload: bytes, census: Census) -> list[_M]:
    """A JSON array of objects as messages of class `kind`. Raises `DecodeError` for anything else."""
    decoder = _LIST_DECODERS.get(kind)
    if decoder is None:
        decoder = _LIST_DECODERS[kind] = msgspec.json.Decoder(list[msgspec.Raw])
    return [decode(kind, bytes(row), census) for row in _run(decoder, payload)]


def _run(decoder: msgspec.json.Decoder[Any], payload: bytes) -> Any:
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(str(error), payload) from None
    except RecursionError:
        raise DecodeError("nested too deeply", payload) from None


def _check_levels(payload: bytes, *sides: Iterable[Level]) -> None:
    try:
        for side in sides:
            check_scalable(chain.from_iterable(side))
    except ValueError as error:
        raise DecodeError(str(error), payload) from None


# -- did the class take everything? -----------------------------------------------------------------------------------


def _took_everything(message: Message, payload: bytes) -> bool:
    """Whether the payload held exactly the keys that the message took.

    Without white space every key ends in `":`, so their count equals the number of fields taken only if no key is unknown or
    doubled; the two characters inside a text can only raise the count and so lead to a needless second look, never to a missed one.
    """
    if any(white in payload for white in _WHITE):
        return False
    return payload.count(b'":') == _fields_taken(message)


def _fields_taken(message: Message) -> int:
    plan = _plan(type(message))
    count = plan.always
    for name in plan.optional:
        if getattr(message, name) is not UNSET:
            count += 1
    for name in plan.nested:
        value = getattr(message, name)
        if isinstance(value, Message):
            count += _fields_taken(value)
        elif isinstance(value, list):
            count += sum(_fields_taken(row) for row in value)
    return count


@attrs.frozen
class _Plan:
    """What has to be looked at after a class was decoded: worked out once per class."""

    #: How many fields are always there, and which may be absent.
    always: int
    optional: tuple[str, ...]
    #: Fields that hold messages, alone or in a list.
    nested: tuple[str, ...]
    #: Whether there are price levels to check.
    levels: bool
    #: Whether there are open words, and bare numbers, to check here or in a nested message.
    words: bool
    bare: bool


_PLANS: Final[dict[type[Message], _Plan]] = {}


def _plan(kind: type[Message]) -> _Plan:
    plan = _PLANS.get(kind)
    if plan is None:
        fields = [one for one in msgspec.structs.fields(kind) if one.name != "extra"]
        plan = _PLANS[kind] = _Plan(
            sum(one.required for one in fields),
            tuple(one.name for one in fields if not one.required),
            tuple(one.name for one in fields if _holds(one.type, Message)),
            any(_holds(one.type, tuple) for one in fields),
            _contains(kind, OpenEnum),
            _contains(kind, Decimal),
        )
    return plan


def _contains(kind: type[Message], wanted: type) -> bool:
    fields = msgspec.structs.fields(kind)
    return any(_holds(one.type, wanted) for one in fields) or any(
        _contains(inner, wanted) for one in fields for inner in _leaves(one.type) if issubclass(inner, Message)
    )


def _holds(annotation: Any, wanted: type) -> bool:
    return any(issubclass(leaf, wanted) for leaf in _leaves(annotation))


def _leaves(annotation: Any) -> Iterator[type]:
    """The classes that an annotation such as `list[X] | UnsetType` mentions; a level counts as `tuple`."""
    if get_origin(annotation) is tuple:
        yield tuple
    elif get_args(annotation):
        for part in get_args(annotation):
            yield from _leaves(part)
    elif isinstance(annotation, type):
        yield annotation


# -- the second look --------------------------------------------------------------------------------------------------


def _second_look(message: Message, payload: bytes, census: Census) -> None:
    """Refuses doubled keys and bare numbers that are none, and keeps unknown keys in `extra`, at every depth."""
    try:
        _keep_unknown(type(message).__name__, message, strictly(payload), census)
    except ValueError as error:
        raise DecodeError(str(error), payload) from None


def strictly(payload: bytes) -> Any:
    """JSON as plain values: no key twice, no broken text, no number out of range, fractions exact. Raises `DecodeError`.

    Slow: for what has no class, and for what a class did not take.
    """
    _run(_ANYTHING, payload)
    try:
        return json.loads(payload, object_pairs_hook=_no_doubles, parse_float=Decimal)
    except ValueError as error:
        raise DecodeError(str(error), payload) from None
    except RecursionError:
        raise DecodeError("nested too deeply", payload) from None


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        seen = Counter(key for key, _ in pairs)
        raise ValueError(f"key {seen.most_common(1)[0][0]!r} stands twice in one object")
    return body


def _keep_unknown(path: str, message: Message, body: Mapping[str, Any], census: Census) -> None:
    known = {one.encode_name: one.name for one in msgspec.structs.fields(type(message)) if one.name != "extra"}
    extra = {key: value for key, value in body.items() if key not in known}
    for key in extra:
        census.count(f"{path}.{key[:40]}")
    # Written once, before anybody else has seen the message.
    msgspec.structs.force_setattr(message, "extra", extra or None)
    for key, name in known.items():
        value, given = getattr(message, name), body.get(key)
        if isinstance(value, Message) and isinstance(given, dict):
            _keep_unknown(f"{path}.{key}", value, given, census)
        elif isinstance(value, list) and isinstance(given, list):
            for row, row_given in zip(value, given, strict=True):
                if isinstance(row, Message):
                    _keep_unknown(f"{path}.{key}", row, row_given, census)
        elif isinstance(value, Decimal):
            _check_bare(value, given)


def _check_bare(value: Decimal, given: Any) -> None:
    """A bare number is bounded like all others; one in quotes has to look like one, since `Decimal` takes "1_0" and "NaN"."""
    fits = NUMBER.fullmatch(given) if isinstance(given, str) else value.adjusted() < 24 and places(value) <= 18
    if not fits:
        raise ValueError(f"not a plain decimal number: {str(given)[:40]}")


def _count_words(message: Message, census: Census) -> None:
    for one in msgspec.structs.fields(type(message)):
        value = getattr(message, one.name)
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, OpenEnum) and not item.known:
                census.count(f"{type(message).__name__}.{one.encode_name}={str(item)[:40]}")
            elif isinstance(item, Message):
                _count_words(item, census)
