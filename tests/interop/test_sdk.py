"""The exchange's own Python SDK, unmodified but for its addresses: REST, WebSocket API, streams, user events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from coldframe.exchange_server import Address

pytestmark = pytest.mark.interop
pytest.importorskip("binance_sdk_derivatives_trading_usds_futures", reason="the interop extra is not installed")

from binance_common.configuration import (  # noqa: E402
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (  # noqa: E402
    DerivativesTradingUsdsFutures,
)
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import enums as rest_words  # noqa: E402
from binance_sdk_derivatives_trading_usds_futures.websocket_api.models import enums as api_words  # noqa: E402

SYMBOL = "BTCUSDT"


def client(address: Address, *, ed25519: bool) -> DerivativesTradingUsdsFutures:
    keys = address.accounts[0]
    if ed25519:
        secret = {"api_key": keys.ed25519_api_key, "private_key": keys.ed25519_private_key_file}
    else:
        secret = {"api_key": keys.hmac_api_key, "api_secret": keys.hmac_secret}
    return DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(base_path=address.rest, **secret),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=address.api, **secret),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=address.streams),
    )


# -- REST -------------------------------------------------------------------------------------------------------------


def test_market_data_over_rest(address: Address) -> None:
    rest = client(address, ed25519=False).rest_api
    info = rest.exchange_information().data()
    assert SYMBOL in [row.symbol for row in info.symbols]
    assert rest.check_server_time().data().server_time > 0
    book = rest.order_book(symbol=SYMBOL, limit=20).data()
    assert len(book.bids) == 20
    assert Decimal(book.bids[0][0]) < Decimal(book.asks[0][0])
    assert rest.rpi_order_book(symbol=SYMBOL).data().last_update_id > 0
    candles = rest.kline_candlestick_data(symbol=SYMBOL, interval=rest_words.KlineCandlestickDataIntervalEnum.INTERVAL_1m, limit=3)
    assert len(candles.data()) == 3
    for call in (
        rest.mark_price,
        rest.symbol_price_ticker_v2,
        rest.symbol_order_book_ticker,
        rest.ticker24hr_price_change_statistics,
        rest.open_interest,
        rest.recent_trades_list,
        rest.compressed_aggregate_trades_list,
        rest.query_index_price_constituents,
        rest.query_insurance_fund_balance_snapshot,
        rest.adl_risk,
    ):
        assert call(symbol=SYMBOL).data() is not None
    for whole in (
        rest.asset_index,
        rest.composite_index_symbol_information,
        rest.get_funding_rate_info,
        rest.get_funding_rate_history,
        rest.trading_schedule,
    ):
        assert whole().data() is not None


@pytest.mark.parametrize("ed25519", [False, True])
def test_an_order_over_rest_with_either_kind_of_key(address: Address, ed25519: bool) -> None:
    rest = client(address, ed25519=ed25519).rest_api
    price = Decimal(rest.order_book(symbol=SYMBOL, limit=5).data().bids[0][0]) - 500
    placed = rest.new_order(
        symbol=SYMBOL,
        side=rest_words.NewOrderSideEnum.BUY,
        type="LIMIT",
        time_in_force=rest_words.NewOrderTimeInForceEnum.GTC,
        quantity=0.01,
        price=float(price),
    ).data()
    assert placed.status == "NEW"
    changed = rest.modify_order(
        symbol=SYMBOL,
        side=rest_words.ModifyOrderSideEnum.BUY,
        quantity=0.02,
        price=float(price),
        order_id=placed.order_id,
    ).data()
    assert changed.orig_qty == "0.020"
    assert rest.query_order(symbol=SYMBOL, order_id=placed.order_id).data().avg_price is not None
    assert [row.order_id for row in rest.current_all_open_orders(symbol=SYMBOL).data()] == [placed.order_id]
    assert rest.get_order_modify_history(symbol=SYMBOL, order_id=placed.order_id).data()[0].amendment.count == 1
    assert rest.cancel_order(symbol=SYMBOL, order_id=placed.order_id).data().status == "CANCELED"
    assert rest.cancel_all_open_orders(symbol=SYMBOL).data().code == 200


def test_statistics_over_rest(address: Address) -> None:
    rest = client(address, ed25519=False).rest_api
    hour = rest_words.OpenInterestStatisticsPeriodEnum.PERIOD_1h
    (held,) = rest.open_interest_statistics(symbol=SYMBOL, period=hour, limit=1).data()
    assert Decimal(held.cmc_circulating_supply) > Decimal(held.sum_open_interest) > 0
    for ask in (rest.long_short_ratio, rest.top_trader_long_short_ratio_accounts, rest.top_trader_long_short_ratio_positions):
        (shares,) = ask(symbol=SYMBOL, period="1h", limit=1).data()
        assert Decimal(shares.long_account) + Decimal(shares.short_account) == 1
    (takers,) = rest.taker_buy_sell_volume(symbol=SYMBOL, period="1h", limit=1).data()
    assert Decimal(takers.buy_vol) > 0
    (basis,) = rest.basis(pair=SYMBOL, contract_type="PERPETUAL", period="1h", limit=1).data()
    assert Decimal(basis.futures_price) - Decimal(basis.index_price) == Decimal(basis.basis)
    assert basis.annualized_basis_rate == ""
    assert rest.quarterly_contract_settlement_price(pair=SYMBOL).data() == []


def test_accounts_over_rest(address: Address) -> None:
    rest = client(address, ed25519=False).rest_api
    rest.new_order(symbol=SYMBOL, side=rest_words.NewOrderSideEnum.BUY, type="MARKET", quantity=0.01)
    assert rest.futures_account_balance_v3().data()[0].asset == "USDT"
    assert rest.account_information_v2().data().can_trade is True
    assert Decimal(rest.account_information_v3().data().positions[0].position_amt) > 0
    assert rest.position_information_v2().data()[0].leverage == "20"
    assert rest.position_information_v3(symbol=SYMBOL).data()[0].symbol == SYMBOL
    assert rest.account_trade_list(symbol=SYMBOL).data()[-1].commission_asset == "USDT"
    assert rest.futures_account_configuration().data().dual_side_position is False
    assert rest.symbol_configuration().data()[0].margin_type == "CROSSED"
    assert rest.user_commission_rate(symbol=SYMBOL).data().taker_commission_rate == "0.000500"
    assert rest.change_initial_leverage(symbol=SYMBOL, leverage=20).data().leverage == 20
    assert rest.notional_and_leverage_brackets().data() is not None
    assert rest.get_income_history().data()[0].asset == "USDT"
    assert rest.query_user_rate_limit().data()[0].limit == 300
    assert rest.get_current_position_mode().data().dual_side_position is False
    assert rest.get_current_multi_assets_mode().data().multi_assets_margin is False
    assert rest.all_orders(symbol=SYMBOL).data()[-1].status == "FILLED"
    assert rest.auto_cancel_all_open_orders(symbol=SYMBOL, countdown_time=0).data().countdown_time == "0"
    rest.new_order(symbol=SYMBOL, side=rest_words.NewOrderSideEnum.SELL, type="MARKET", quantity=0.01, reduce_only="true")


def test_conditional_orders_over_rest(address: Address) -> None:
    rest = client(address, ed25519=False).rest_api
    placed = rest.new_algo_order(
        algo_type="CONDITIONAL",
        symbol=SYMBOL,
        side=rest_words.NewAlgoOrderSideEnum.SELL,
        type="STOP_MARKET",
        quantity=0.01,
        trigger_price=50_000.0,
    ).data()
    assert placed.algo_status == "NEW"
    assert rest.query_algo_order(algo_id=placed.algo_id).data().algo_id == placed.algo_id
    assert [row.algo_id for row in rest.current_all_algo_open_orders().data()] == [placed.algo_id]
    assert rest.cancel_algo_order(algo_id=placed.algo_id).data().code == "200"


# -- the WebSocket API ----------------------------------------------------------------------------------------------------


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))


def test_a_session_on_the_websocket_api(address: Address) -> None:
    async def work() -> None:
        api = client(address, ed25519=True).websocket_api
        line = await api.create_connection()
        try:
            log_on = {"method": "session.logon", "params": {}}
            await line.send_signed_message(log_on, signer=line.signer, session_logon=True)
            status = (await line.send_message({"method": "session.status", "params": {}})).data()
            assert status["result"]["apiKey"] == address.accounts[0].ed25519_api_key
            best = (await line.symbol_order_book_ticker(symbol=SYMBOL)).data().actual_instance.result
            book = (await line.order_book(symbol=SYMBOL, limit=5)).data().result
            bids = book.additional_properties["bids"]  # the SDK's model of this answer knows no levels
            assert len(bids) == 5
            assert (await line.symbol_price_ticker(symbol=SYMBOL)).data().actual_instance.result.symbol == SYMBOL
            price = float(Decimal(bids[0][0]) - 500)
            placed = (
                await line.new_order(
                    symbol=SYMBOL,
                    side=api_words.NewOrderSideEnum.BUY,
                    type="LIMIT",
                    time_in_force=api_words.NewOrderTimeInForceEnum.GTC,
                    quantity=0.01,
                    price=price,
                )
            ).data()
            order_id = placed.result.order_id
            assert placed.result.status == "NEW"
            changed = await line.modify_order(
                symbol=SYMBOL, side=api_words.ModifyOrderSideEnum.BUY, quantity=0.02, price=price, order_id=order_id
            )
            assert changed.data().result.orig_qty == "0.020"
            assert (await line.query_order(symbol=SYMBOL, order_id=order_id)).data().result.status == "NEW"
            assert (await line.cancel_order(symbol=SYMBOL, order_id=order_id)).data().result.status == "CANCELED"
            assert (await line.account_information_v2()).data().result is not None
            assert (await line.futures_account_balance_v2()).data().result is not None
            assert (await line.position_information_v2()).data().status == 200
            started = (await line.start_user_data_stream()).data().result.listen_key
            assert (await line.keepalive_user_data_stream()).data().result.listen_key == started
            assert best.symbol == SYMBOL
        finally:
            await api.close_connection(close_session=True)

    run(work)


@pytest.mark.parametrize("ed25519", [False, True])
@pytest.mark.parametrize("limits", [False, True])
def test_single_signed_requests_on_the_websocket_api(address: Address, ed25519: bool, limits: bool) -> None:
    async def work() -> None:
        api = client(address, ed25519=ed25519).websocket_api
        api.configuration.return_rate_limits = limits
        line = await api.create_connection()
        try:
            placed = await line.new_order(symbol=SYMBOL, side=api_words.NewOrderSideEnum.BUY, type="MARKET", quantity=0.01)
            assert placed.data().result.symbol == SYMBOL
            assert bool(placed.rate_limits) is limits
            assert (await line.account_information()).data().result.can_trade is True
            await line.new_order(symbol=SYMBOL, side=api_words.NewOrderSideEnum.SELL, type="MARKET", quantity=0.01)
        finally:
            await api.close_connection(close_session=True)

    run(work)


# -- streams ------------------------------------------------------------------------------------------------------------


def test_streams_and_user_events(address: Address) -> None:
    async def work() -> None:
        sdk = client(address, ed25519=False)
        key = sdk.rest_api.start_user_data_stream().data().listen_key
        line = await sdk.websocket_streams.create_connection()
        heard: dict[str, asyncio.Future[Any]] = {}
        user_events: asyncio.Queue[Any] = asyncio.Queue()

        def catch(name: str) -> Callable[[Any], None]:
            heard[name] = asyncio.get_running_loop().create_future()
            return lambda message: None if heard[name].done() else heard[name].set_result(message)

        try:
            streams = {
                "depth": line.diff_book_depth_streams(symbol="btcusdt", update_speed="100ms"),
                "partial": line.partial_book_depth_streams(symbol="btcusdt", levels=5),
                "book": line.individual_symbol_book_ticker_streams(symbol="btcusdt"),
                "trade": line.aggregate_trade_streams(symbol="btcusdt"),
                "mark": line.mark_price_stream(symbol="btcusdt", update_speed="1s"),
                "candle": line.kline_candlestick_streams(symbol="btcusdt", interval="1m"),
                "ticker": line.all_market_tickers_streams(),
                "assets": line.asset_index(),
                "contract": line.continuous_contract_kline_candlestick_streams(
                    pair="btcusdt", contract_type="perpetual", interval="1m"
                ),
                "composite": line.composite_index_symbol_information_streams(symbol="defiusdt"),
                "rpi": line.rpi_diff_book_depth_streams(symbol="btcusdt"),
                "session": line.trading_session_stream(),
                "mini": line.individual_symbol_mini_ticker_stream(symbol="btcusdt"),
            }
            for name, opening in streams.items():
                (await opening).on("message", catch(name))
            user = await line.user_data(key)
            user.on("message", user_events.put_nowait)
            await asyncio.wait_for(asyncio.gather(*heard.values()), 30)
            depth = heard["depth"].result()
            assert depth.s == SYMBOL
            assert heard["book"].result().u > 0
            loop, kinds = asyncio.get_running_loop(), set[str]()
            while not {"OrderTradeUpdate", "AccountUpdate", "TradeLite"} <= kinds:  # the SDK does not tell when it has subscribed
                for side in (rest_words.NewOrderSideEnum.BUY, rest_words.NewOrderSideEnum.SELL):
                    order = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quantity": 0.01}
                    await loop.run_in_executor(None, lambda order=order: sdk.rest_api.new_order(**order))
                await asyncio.sleep(1)
                while not user_events.empty():
                    kinds.add(type(user_events.get_nowait().actual_instance).__name__)
        finally:
            await sdk.websocket_streams.close_connection(close_session=True)

    run(work)
