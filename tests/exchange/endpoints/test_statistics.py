"""Statistics of the market: periods that have ended, their shape, their own budget."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.endpoints.rest import Rest, RestRequest
from coldframe.exchange.endpoints.statistics_endpoints import PERIODS
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.wire import reference
from coldframe.wire.codec import Census, decode_list
from coldframe.wire.rest import ENDPOINTS
from tests.randomness import randomness

NOW = 1_700_000_123_456
KINDS = {
    "openInterestHist": reference.OpenInterestRow,
    "topLongShortPositionRatio": reference.LongShortRow,
    "topLongShortAccountRatio": reference.LongShortRow,
    "globalLongShortAccountRatio": reference.LongShortRow,
    "takerlongshortRatio": reference.TakerRow,
}
MINUTES = {"m": 1, "h": 60, "d": 1440}


@pytest.fixture(scope="module")
def rest() -> Rest:
    settings = Settings(symbols=["BTCUSDT", "ETHUSDT"], accounts=[VenueAccount(name="a")])
    market = SyntheticMarket(settings, NOW, {}, Random)
    return Rest(Exchange(settings, market.markets, keys_for(["a"], None), MemoryAccountStore(), NOW, randomness()))


def ask(rest: Rest, name: str, at_ms: int = NOW, **params: object) -> bytes:
    query = "&".join(f"{key}={value}" for key, value in params.items()).encode()
    return rest.answer(RestRequest("GET", f"/futures/data/{name}", query, {}, b""), at_ms).body


def rows(rest: Rest, name: str, **params: object) -> list[dict[str, object]]:
    return msgspec.json.decode(ask(rest, name, **({"symbol": "BTCUSDT", "period": "5m"} | params)))  # type: ignore[no-any-return]


def test_all_statistics_are_served() -> None:
    served = {path.removeprefix("/futures/data/") for _, path in ENDPOINTS if path.startswith("/futures/data/")}
    assert served == {*KINDS, "basis", "delivery-price"}


@pytest.mark.parametrize("name", KINDS)
def test_answers_have_the_shape_of_their_class(rest: Rest, name: str) -> None:
    census = Census()
    made = decode_list(KINDS[name], ask(rest, name, symbol="BTCUSDT", period="5m"), census)
    assert len(made) == 30
    assert census.unknown == {}


@pytest.mark.parametrize("period", PERIODS)
def test_rows_are_whole_periods_that_have_ended(rest: Rest, period: str) -> None:
    length_ms = int(period[:-1]) * MINUTES[period[-1]] * 60_000
    times = [int(row["timestamp"]) for row in rows(rest, "takerlongshortRatio", period=period)]  # type: ignore[call-overload]
    assert times
    assert all(at % length_ms == 0 and at <= NOW for at in times)
    assert times == sorted(times)
    assert NOW - times[-1] < length_ms


def test_shares_add_up_and_lean_less_the_wider_they_look(rest: Rest) -> None:
    leans = []
    for name in ("topLongShortPositionRatio", "topLongShortAccountRatio", "globalLongShortAccountRatio"):
        first = rows(rest, name)[0]
        longs, shorts = Decimal(str(first["longAccount"])), Decimal(str(first["shortAccount"]))
        assert longs + shorts == 1
        assert Decimal(str(first["longShortRatio"])) == (longs / shorts).quantize(Decimal("0.0001"))
        leans.append(abs(longs - Decimal("0.5")))
    assert leans == sorted(leans, reverse=True)


def test_windows_and_pages(rest: Rest) -> None:
    whole = rows(rest, "openInterestHist", limit=100)
    assert rows(rest, "openInterestHist", limit=2) == whole[-2:]
    start = whole[10]["timestamp"]
    assert rows(rest, "openInterestHist", startTime=start, limit=3) == whole[10:13]
    assert rows(rest, "openInterestHist", endTime=start, limit=3) == whole[8:11]


def test_what_is_asked_wrongly(rest: Rest) -> None:
    for params, code in (
        ({"symbol": "NOSUCH", "period": "5m"}, -1121),
        ({"symbol": "BTCUSDT", "period": "1m"}, -1130),
        ({"symbol": "BTCUSDT"}, -1102),
        ({"symbol": "BTCUSDT", "period": "5m", "limit": 501}, -1130),
        ({"symbol": "BTCUSDT", "period": "5m", "startTime": 2, "endTime": 1}, -1023),
    ):
        assert msgspec.json.decode(ask(rest, "openInterestHist", **params))["code"] == code


def test_the_open_interest_of_now_agrees_with_its_past(rest: Rest) -> None:
    body = rest.answer(RestRequest("GET", "/fapi/v1/openInterest", b"symbol=BTCUSDT", {}, b""), NOW).body
    now = Decimal(msgspec.json.decode(body)["openInterest"])
    past = Decimal(str(rows(rest, "openInterestHist")[-1]["sumOpenInterest"]))
    assert now == 100_000
    assert abs(past - now) <= now / 100


@pytest.mark.scene
def test_they_have_a_budget_of_their_own() -> None:
    settings = Settings(symbols=["BTCUSDT"], accounts=[VenueAccount(name="a")])
    market = SyntheticMarket(settings, NOW, {}, Random)
    rest = Rest(Exchange(settings, market.markets, keys_for(["a"], None), MemoryAccountStore(), NOW, randomness()))
    request = RestRequest("GET", "/futures/data/takerlongshortRatio", b"symbol=BTCUSDT&period=1d", {}, b"")
    statuses = [rest.answer(request, NOW).status for _ in range(1001)]
    assert statuses == [200] * 1000 + [429]
    answer = rest.answer(RestRequest("GET", "/fapi/v1/time", b"", {}, b""), NOW)
    assert (answer.status, dict(answer.headers)["x-mbx-used-weight-1m"]) == (200, "1")
    assert rest.answer(request, NOW + 300_000).status == 200


# -- the basis --------------------------------------------------------------------------------------------------------


def basis(rest: Rest, at_ms: int = NOW, **params: object) -> Any:
    asked = {"pair": "BTCUSDT", "contractType": "PERPETUAL", "period": "5m"} | params
    return msgspec.json.decode(ask(rest, "basis", at_ms, **asked))


def test_a_basis_is_the_price_over_the_index(rest: Rest) -> None:
    census = Census()
    asked = {"pair": "BTCUSDT", "contractType": "PERPETUAL", "period": "5m"}
    made = decode_list(reference.BasisRow, ask(rest, "basis", **asked), census)
    assert len(made) == 30
    assert census.unknown == {}
    candles = rest.answer(RestRequest("GET", "/fapi/v1/klines", b"symbol=BTCUSDT&interval=5m&limit=1000", {}, b""), NOW).body
    closes = {row[6] + 1: row[4] for row in msgspec.json.decode(candles)}
    for row in made:
        index, price = Decimal(str(row.index_price)), Decimal(str(row.futures_price))
        assert str(row.futures_price) == closes[row.timestamp]
        assert Decimal(str(row.basis)) == price - index
        assert Decimal(str(row.basis_rate)) == ((price - index) / index).quantize(Decimal("0.0001"))
        assert (row.pair, row.contract_type, row.annualized_basis_rate) == ("BTCUSDT", "PERPETUAL", "")


def test_a_premium_makes_a_basis_that_stays() -> None:
    settings = Settings(symbols=["BTCUSDT"], accounts=[VenueAccount(name="a")])
    market = SyntheticMarket(settings, NOW, {}, Random)
    exchange = Exchange(settings, market.markets, keys_for(["a"], None), MemoryAccountStore(), NOW, randomness())
    rest, public_data = Rest(exchange), exchange.markets["BTCUSDT"].public_data
    period_ms = 300_000
    end_ms = NOW // period_ms * period_ms + period_ms
    public_data.premiums.trade(0, end_ms - 1000, to_scaled(Decimal("0.002")), 0, taker_buys=False)
    public_data.candles.trade(1, end_ms - 500, to_scaled(Decimal("60120")), to_scaled(Decimal(1)), taker_buys=True)
    first = basis(rest, end_ms, limit=1)
    assert first == [
        {
            "pair": "BTCUSDT",
            "contractType": "PERPETUAL",
            "indexPrice": "60000.00000000",
            "futuresPrice": "60120.00",
            "basis": "120.00000000",
            "basisRate": "0.0020",
            "annualizedBasisRate": "",
            "timestamp": end_ms,
        }
    ]
    public_data.premiums.trade(0, end_ms + 1000, to_scaled(Decimal("-0.001")), 0, taker_buys=False)
    assert basis(rest, end_ms + 2000, limit=1) == first


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"contractType": "CURRENT_QUARTER"}, []),
        ({"contractType": "NEXT_QUARTER"}, []),
        ({"contractType": "WEEKLY"}, -4104),
        ({"contractType": "TRADIFI_PERPETUAL"}, -4104),
        ({"pair": "NOSUCH"}, -4144),
        ({"period": "1m"}, -1130),
        ({"limit": 501}, -1130),
        ({"startTime": 2, "endTime": 1}, -1023),
    ],
)
def test_a_basis_that_there_is_none_of(rest: Rest, params: dict[str, object], expected: object) -> None:
    answer = basis(rest, **params)
    assert (answer if isinstance(answer, list) else answer["code"]) == expected


def test_no_contract_here_is_ever_delivered(rest: Rest) -> None:
    assert msgspec.json.decode(ask(rest, "delivery-price", pair="BTCUSDT")) == []
    assert msgspec.json.decode(ask(rest, "delivery-price", pair="NOSUCH"))["code"] == -4144
    assert msgspec.json.decode(ask(rest, "delivery-price"))["code"] == -1102
