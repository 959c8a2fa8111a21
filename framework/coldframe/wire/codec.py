"""Bytes to typed messages: any bytes become a message or a `DecodeError`, and nothing the venue said is lost.

Decoding goes to the class of the message at once; `leftovers` then looks for what the class did not take. Unknown keys and
words are counted in a `Census`, never fatal (protocol.md, head).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, field

from coldframe.errors import DecodeError
from coldframe.units import NUMBER, check_scalable, scaled_levels
from coldframe.wire import account, streams
from coldframe.wire.leftovers import Census as Census  # its place for all others is here
from coldframe.wire.leftovers import Plan, count_words, plan_of, settle
from coldframe.wire.names import StreamKind, StreamName
from coldframe.wire.streams import Level, Message
from coldframe.wire.strict import run, strictly

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


class _Head(msgspec.Struct):
    """Of a user event its type, and the mark of an older form."""

    event: Any = field(name="e", default=UNSET)
    older: msgspec.Raw | msgspec.UnsetType = field(name="ao", default=UNSET)


_HEAD: Final = msgspec.json.Decoder(_Head)
_ROWS: Final = msgspec.json.Decoder(list[msgspec.Raw])

# JSON numbers stay numbers on the way out; `Decimal` is only used where the venue prints bare numbers.
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def payload_class(kind: StreamKind) -> type[streams.MarketMessage]:
    """The class of the payloads of a kind of stream."""
    return _MARKET[kind]


def user_event_classes() -> Mapping[str, type[Message]]:
    """The classes of the user-data events by event type."""
    return _USER


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
    head = run(_HEAD, payload)
    kind = _USER.get(head.event) if isinstance(head.event, str) else None
    if kind is None or (kind is account.AlgoUpdate and head.older is not UNSET):
        return _decode_odd_user(strictly(payload), payload, census)
    return decode(kind, payload, census)


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
    plan = plan_of(kind)
    message: _M = run(plan.decoder, payload)
    if plan.numbers:
        _check_numbers(message, plan.numbers, payload)
    settle(message, plan, payload, census)
    if plan.wordy:
        count_words(message, plan, census)
    if plan.levels:
        _check_levels(payload, message.bids, message.asks)  # type: ignore[attr-defined]
    return message


def decoder_of(kind: type[_M], census: Census) -> Callable[[bytes], _M]:
    """`decode` for one class and one census, with all that is looked up there looked up once: for the streams."""
    plan = plan_of(kind)
    flat = not (plan.nested or plan.raw or plan.bare or plan.wordy or plan.levels)
    return _flat_decoder(kind, plan, census) if flat else partial(decode, kind, census=census)


def depth_decoder(census: Census) -> Callable[[bytes], tuple[streams.DepthUpdate, list[int], list[int]]]:
    """Reads updates of a book, each with its bids and asks as `scaled_levels`. Raises `DecodeError` like `decode`.

    To scale the levels is to check them, so it is done here and once; a native reader of levels would stand in this place.
    """
    read = _flat_decoder(streams.DepthUpdate, plan_of(streams.DepthUpdate), census)

    def read_update(payload: bytes) -> tuple[streams.DepthUpdate, list[int], list[int]]:
        update = read(payload)
        try:
            return update, scaled_levels(update.bids), scaled_levels(update.asks)
        except ValueError as error:
            raise DecodeError(str(error), payload) from None

    return read_update


def _flat_decoder(kind: type[_M], plan: Plan, census: Census) -> Callable[[bytes], _M]:
    """For a class that holds no other messages, open words or bare numbers; price levels are left to the caller."""
    read, always, optional = plan.decoder.decode, plan.always, plan.optional
    numbers_of, are_numbers = _numbers_at_once(plan)

    def read_message(payload: bytes) -> _M:
        try:
            message: _M = read(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            run(plan.decoder, payload)  # says what is wrong
            raise
        if numbers_of is not None and are_numbers(",".join(numbers_of(message))) is None:
            _check_numbers(message, plan.numbers, payload)
        # There are never more keys than colons: where all of them are accounted for, nothing was left over.
        left_over = payload.count(b":") - always
        if left_over:
            for name in optional:
                if getattr(message, name) is not UNSET:
                    left_over -= 1
            if left_over:
                settle(message, plan, payload, census)
        return message

    return read_message


def _numbers_at_once(plan: Plan) -> tuple[Callable[[Message], tuple[str, ...]] | None, Callable[[str], object]]:
    """What reads the texts of a message that have to be numbers, and what checks them, joined by commas, all at once.

    A comma in one of them makes one number too many. None where there are fewer than two.
    """
    if len(plan.numbers) < 2:
        return None, bool
    pattern = re.compile(",".join([NUMBER.pattern] * len(plan.numbers)))
    return attrgetter(*plan.numbers), pattern.fullmatch


def decode_list(kind: type[_M], payload: bytes, census: Census) -> list[_M]:
    """A JSON array of objects as messages of class `kind`. Raises `DecodeError` for anything else."""
    return [decode(kind, bytes(row), census) for row in run(_ROWS, payload)]


def _check_numbers(message: Message, names: Iterable[str], payload: bytes) -> None:
    for name in names:
        text = getattr(message, name)
        if NUMBER.fullmatch(text) is None:
            raise DecodeError(f"not a plain decimal number: {text[:40]!r}", payload)


def _check_levels(payload: bytes, *sides: Iterable[Level]) -> None:
    try:
        for side in sides:
            check_scalable(chain.from_iterable(side))
    except ValueError as error:
        raise DecodeError(str(error), payload) from None
