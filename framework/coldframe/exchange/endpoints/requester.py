"""Who makes a call, and the small questions that many calls begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
from msgspec import UNSET, UnsetType

from coldframe.exchange.exchange import Exchange
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.refusals import refuse
from coldframe.wire.requests import Fault, Request

T = TypeVar("T")

#: The longest page of most lists, and its usual length.
_LONGEST_PAGE: Final = 1000
_USUAL_PAGE: Final = 500


@attrs.frozen
class Requester:
    """The account behind a call, empty for a public one."""

    account: str = ""


#: What one call does: exchange, requester, parameters and time go in; the answer's body or a refusal comes out.
EndpointHandler = Callable[[Exchange, Requester, Any, int], object]
#: Calls by what names them: verb and path on REST, the method on the WebSocket API.
EndpointHandlers = dict[str, EndpointHandler]


#: Contract types that the exchange knows and this venue has no contracts of.
QUARTERS: Final = ("CURRENT_QUARTER", "NEXT_QUARTER")


def sent(value: T | UnsetType) -> T | None:
    """The value of an optional parameter; None when it was not sent."""
    return None if isinstance(value, UnsetType) else value


def public_data_of(exchange: Exchange, symbol: object) -> PublicMarketData | Fault:
    """The public data of a symbol that must be named and listed."""
    if symbol is UNSET or not symbol:
        return refuse(-1102, "symbol")
    market = exchange.markets.get(str(symbol))
    return market.public_data if market else refuse(-1121)


def public_data_of_pair(exchange: Exchange, pair: str) -> PublicMarketData | Fault:
    """The public data of a pair; here each pair has one contract, of the same name."""
    public_data = public_data_of(exchange, pair)
    return refuse(-4144) if isinstance(public_data, Fault) and public_data.code == -1121 else public_data


def public_data_of_all(exchange: Exchange, symbol: object) -> list[PublicMarketData] | Fault:
    """The public data of a named symbol, or of every contract that is not closed."""
    if symbol is UNSET:
        return [market.public_data for market in exchange.markets.values() if not market.contract.closed]
    public_data = public_data_of(exchange, symbol)
    return public_data if isinstance(public_data, Fault) else [public_data]


def one_or_all(exchange: Exchange, request: Request, row: Callable[[PublicMarketData], object]) -> object:
    """What calls with an optional symbol answer: one row for a named symbol, a list of rows without one."""
    symbol = getattr(request, "symbol", UNSET)
    all_public_data = public_data_of_all(exchange, symbol)
    if isinstance(all_public_data, Fault):
        return all_public_data
    rows = [made for public_data in all_public_data if (made := row(public_data)) is not None]
    if symbol is UNSET:
        return rows
    return rows[0] if rows else []


def page_length(limit: int | UnsetType, usual: int = _USUAL_PAGE, longest: int = _LONGEST_PAGE) -> int | Fault:
    """How many rows a list may have."""
    if isinstance(limit, UnsetType):
        return usual
    return limit if 1 <= limit <= longest else refuse(-1130, "limit")
