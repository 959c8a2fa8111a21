"""What a client asks of the WebSocket API and of REST, one class per call, with the venue's names (camel case on the wire).

The bot turns these into parameters with `parameters`; the venue reads them back with `read`, and answers the codes of the seeds
for what is missing or malformed. Who signs, and how, is not here but in `coldframe.core.connectivity.signing`.
Source: protocol.md 6.4 and 7.2 to 7.5; `seeds/004`, "Websocket API".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import attrs
import msgspec
from msgspec import UNSET, UnsetType

from coldframe.enums import (
    MarginType,
    OpenEnum,
    OrderType,
    PositionSide,
    PriceMatch,
    ResponseType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from coldframe.wire.codes import CODES

#: A decimal a client sends; the venue's own rule (text of code -1100).
Amount = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,20})(\.[0-9]{1,20})?\Z")]
ClientId = Annotated[str, msgspec.Meta(pattern=r"^[.A-Z:/a-z0-9_-]{1,36}\Z")]

_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
_AMOUNT_RULE: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One call's own parameters, without key, timestamp and signature."""


class PlaceOrder(Request, frozen=True, kw_only=True):
    """order.place, POST /fapi/v1/order: a LIMIT or MARKET order. Everything conditional is `PlaceAlgo`."""

    symbol: str
    side: Side
    type: OrderType
    position_side: PositionSide | UnsetType = UNSET
    time_in_force: TimeInForce | UnsetType = UNSET
    quantity: Amount | UnsetType = UNSET
    price: Amount | UnsetType = UNSET
    reduce_only: bool | UnsetType = UNSET
    new_client_order_id: ClientId | UnsetType = UNSET
    new_order_resp_type: ResponseType | UnsetType = UNSET
    price_match: PriceMatch | UnsetType = UNSET
    self_trade_prevention_mode: SelfTradePrevention | UnsetType = UNSET
    good_till_date: int | UnsetType = UNSET


class ModifyOrder(Request, frozen=True, kw_only=True):
    """order.modify, PUT /fapi/v1/order: new price and quantity of a LIMIT order, which loses its place in the queue."""

    symbol: str
    side: Side
    quantity: Amount
    price: Amount | UnsetType = UNSET
    order_id: int | UnsetType = UNSET
    orig_client_order_id: str | UnsetType = UNSET
    price_match: PriceMatch | UnsetType = UNSET
    modify_id: int | UnsetType = UNSET
    #: Only a check: with it the order must be reduce-only, and MIN_NOTIONAL is left out.
    reduce_only: bool | UnsetType = UNSET


class OrderRef(Request, frozen=True, kw_only=True):
    """One order of a symbol: order.cancel, order.status, DELETE and GET /fapi/v1/order, GET /fapi/v1/openOrder.

    `order_id` wins when both are sent.
    """

    symbol: str
    order_id: int | UnsetType = UNSET
    orig_client_order_id: str | UnsetType = UNSET


class PlaceAlgo(Request, frozen=True, kw_only=True):
    """algoOrder.place, POST /fapi/v1/algoOrder: an order that waits for a trigger."""

    algo_type: str
    symbol: str
    side: Side
    type: OrderType
    position_side: PositionSide | UnsetType = UNSET
    time_in_force: TimeInForce | UnsetType = UNSET
    quantity: Amount | UnsetType = UNSET
    price: Amount | UnsetType = UNSET
    trigger_price: Amount | UnsetType = UNSET
    working_type: WorkingType | UnsetType = UNSET
    price_match: PriceMatch | UnsetType = UNSET
    close_position: bool | UnsetType = UNSET
    price_protect: bool | UnsetType = UNSET
    reduce_only: bool | UnsetType = UNSET
    activate_price: Amount | UnsetType = UNSET
    callback_rate: Amount | UnsetType = UNSET
    client_algo_id: ClientId | UnsetType = UNSET
    new_order_resp_type: ResponseType | UnsetType = UNSET
    self_trade_prevention_mode: SelfTradePrevention | UnsetType = UNSET
    good_till_date: int | UnsetType = UNSET


class AlgoRef(Request, frozen=True, kw_only=True):
    """One conditional order: algoOrder.cancel, DELETE and GET /fapi/v1/algoOrder."""

    algo_id: int | UnsetType = UNSET
    client_algo_id: str | UnsetType = UNSET


class NoParameters(Request, frozen=True, kw_only=True):
    """A call without parameters of its own."""


class SymbolOnly(Request, frozen=True, kw_only=True):
    symbol: str


class MaybeSymbol(Request, frozen=True, kw_only=True):
    """A call that answers for one symbol, or for all of them."""

    symbol: str | UnsetType = UNSET


class DepthQuery(Request, frozen=True, kw_only=True):
    symbol: str
    limit: int | UnsetType = UNSET


class TradesQuery(Request, frozen=True, kw_only=True):
    """GET trades: the latest."""

    symbol: str
    limit: int | UnsetType = UNSET


class OlderTradesQuery(TradesQuery, frozen=True, kw_only=True):
    """GET historicalTrades: from an id on, or the latest."""

    from_id: int | UnsetType = UNSET


class Span(Request, frozen=True, kw_only=True):
    """A page of a history between two times (epoch milliseconds, both included), oldest first."""

    start_time: int | UnsetType = UNSET
    end_time: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class AggTradesQuery(Span, frozen=True, kw_only=True):
    symbol: str
    from_id: int | UnsetType = UNSET


class SymbolSpan(Span, frozen=True, kw_only=True):
    """A history of one symbol, or of all of them."""

    symbol: str | UnsetType = UNSET


class OrdersQuery(SymbolSpan, frozen=True, kw_only=True):
    """GET allOrders: from an order id on, or between two times."""

    order_id: int | UnsetType = UNSET


class AmendmentsQuery(Span, frozen=True, kw_only=True):
    """GET orderAmendment: the changes of a symbol's orders, or of one order."""

    symbol: str
    order_id: int | UnsetType = UNSET
    orig_client_order_id: str | UnsetType = UNSET


class UserTradesQuery(Span, frozen=True, kw_only=True):
    """GET userTrades: from a trade id on, or between two times; of a symbol or of one order."""

    symbol: str
    order_id: int | UnsetType = UNSET
    from_id: int | UnsetType = UNSET


class OpenAlgosQuery(Request, frozen=True, kw_only=True):
    algo_type: str | UnsetType = UNSET
    symbol: str | UnsetType = UNSET
    algo_id: int | UnsetType = UNSET


class AlgosQuery(Span, frozen=True, kw_only=True):
    """GET allAlgoOrders: from an algo id on, or between two times."""

    symbol: str
    algo_id: int | UnsetType = UNSET


class IncomeQuery(SymbolSpan, frozen=True, kw_only=True):
    income_type: str | UnsetType = UNSET


class ForceOrdersQuery(SymbolSpan, frozen=True, kw_only=True):
    """GET forceOrders; `auto_close_type` is LIQUIDATION or ADL."""

    auto_close_type: str | UnsetType = UNSET


class MarginHistoryQuery(Span, frozen=True, kw_only=True):
    """GET positionMargin/history; `type` is 1 for margin that was added, 2 for margin that was taken."""

    symbol: str
    type: int | UnsetType = UNSET


class KlineQuery(Span, frozen=True, kw_only=True):
    symbol: str
    interval: str


class PairKlineQuery(Span, frozen=True, kw_only=True):
    pair: str
    interval: str


class ContinuousKlineQuery(PairKlineQuery, frozen=True, kw_only=True):
    contract_type: str


class StatisticsQuery(Span, frozen=True, kw_only=True):
    """GET /futures/data/...: what the whole market did, in periods from 5m to 1d."""

    symbol: str
    period: str


class BasisQuery(Span, frozen=True, kw_only=True):
    """GET /futures/data/basis."""

    pair: str
    contract_type: str
    period: str


class PairOnly(Request, frozen=True, kw_only=True):
    """A call about one pair."""

    pair: str


class SetLeverage(Request, frozen=True, kw_only=True):
    symbol: str
    leverage: int


class SetMarginType(Request, frozen=True, kw_only=True):
    symbol: str
    margin_type: MarginType


class SetPositionMode(Request, frozen=True, kw_only=True):
    dual_side_position: bool


class SetAssetMode(Request, frozen=True, kw_only=True):
    multi_assets_margin: bool


class SetFeeBurn(Request, frozen=True, kw_only=True):
    fee_burn: bool


class MovePositionMargin(Request, frozen=True, kw_only=True):
    """Adds (type 1) or takes (type 2) margin of an isolated position."""

    symbol: str
    amount: Amount
    type: int
    position_side: PositionSide | UnsetType = UNSET


class Countdown(Request, frozen=True, kw_only=True):
    """The dead man's switch: all open orders of the symbol are cancelled when it runs out; 0 switches it off."""

    symbol: str
    countdown_time: int


class BatchPlace(Request, frozen=True, kw_only=True):
    """Up to five orders as one JSON text."""

    batch_orders: str


class BatchCancel(Request, frozen=True, kw_only=True):
    """Up to ten orders of a symbol, as one JSON text of ids."""

    symbol: str
    order_id_list: str | UnsetType = UNSET
    orig_client_order_id_list: str | UnsetType = UNSET


# -- both ends --------------------------------------------------------------------------------------------------------

R = TypeVar("R", bound=Request)


@attrs.frozen
class Fault:
    """Why parameters are refused: the venue's code and its text."""

    code: int
    msg: str


def parameters(request: Request) -> dict[str, str | int]:
    """The parameters of a call as they go on the wire: decimals as texts, integers as integers, booleans as "true" or "false"."""
    return {name: _on_wire(value) for name, value in msgspec.to_builtins(request).items()}


def _on_wire(value: Any) -> str | int:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int) else str(value)


def text_of(value: object) -> str:
    """A parameter's value as the text that is signed and checked: JSON `true` is "true", never Python's "True"."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def read(kind: type[R], given: Mapping[str, object]) -> R | Fault:
    """The request of class `kind` in the parameters `given`, or the code that the venue answers.

    Empty values count as absent, keys that the call does not know are ignored.
    """
    texts = {name: text for name, value in given.items() if (text := text_of(value)) != ""}
    for name, legal in _legal_values(kind):
        if name in texts and not legal(texts[name]).known:
            return _bad_word(legal, name)
    for name in _whole_numbers(kind):
        if name in texts and _WHOLE.fullmatch(texts[name]) is None:
            return Fault(-1102, CODES[-1102].text(name))
    try:
        return msgspec.convert(texts, type=kind, strict=False)
    except msgspec.ValidationError as error:
        return _fault(kind, texts, str(error))


@cache
def _whole_numbers(kind: type[Request]) -> list[str]:
    return [
        field.encode_name for field in msgspec.structs.fields(kind) if int in (field.type, *getattr(field.type, "__args__", ()))
    ]


@cache
def _legal_values(kind: type[Request]) -> list[tuple[str, type[OpenEnum]]]:
    return [
        (field.encode_name, option)
        for field in msgspec.structs.fields(kind)
        for option in getattr(field.type, "__args__", (field.type,))
        if isinstance(option, type) and issubclass(option, OpenEnum)
    ]


_BAD_WORD: Final[dict[type[OpenEnum], int]] = {
    Side: -1117,
    OrderType: -1116,
    TimeInForce: -1115,
    PositionSide: -4060,
    WorkingType: -4031,
    PriceMatch: -5037,
    SelfTradePrevention: -5039,
    ResponseType: -1136,
}


def _bad_word(legal: type[OpenEnum], name: str) -> Fault:
    code = _BAD_WORD.get(legal)
    return Fault(code, CODES[code].text()) if code else Fault(-1130, CODES[-1130].text(name))


def _fault(kind: type[Request], texts: Mapping[str, str], reason: str) -> Fault:
    missing = re.search(r"missing required field `(\w+)`", reason)
    if missing:
        return Fault(-1102, CODES[-1102].text(missing[1]))
    where = re.search(r"\$\.(\w+)", reason)
    name = where[1] if where else ""
    if "ClientOrderId" in name or "clientAlgoId" in name:
        too_long = len(texts.get(name, "")) > 36
        return Fault(-4015, CODES[-4015].text(variant=1 if too_long else 0))
    if "matching regex" in reason:
        return Fault(-1100, CODES[-1100].text(name, _AMOUNT_RULE))
    return Fault(-1102, CODES[-1102].text(name))
