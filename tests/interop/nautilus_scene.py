"""A NautilusTrader node on the venue, run by an interpreter that has it: quotes, an order and its cancel, a fill, the way back.

It prints the steps that were taken, as JSON, in its last line on stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceAccountType,
    BinanceDataClientConfig,
    BinanceExecClientConfig,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, StrategyConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

SCENE = json.loads(os.environ["SCENE"])
NAME = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
WITHIN_S = 45


class Steps(Strategy):
    """Each event leads to the next step; `done` is set at the last."""

    def __init__(self) -> None:
        super().__init__(StrategyConfig())
        self.taken: list[str] = []
        self.done = asyncio.Event()
        self.resting: Any = None

    def _take(self, step: str) -> bool:
        """Notes a step. Whether it is the first time."""
        if step in self.taken:
            return False
        self.taken.append(step)
        return True

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(NAME)
        if self.instrument is not None and self._take("instrument"):
            self.subscribe_quote_ticks(NAME)
            self.subscribe_trade_ticks(NAME)

    def on_trade_tick(self, tick: Any) -> None:
        self._take("trade")
        self._end()

    def _end(self) -> None:
        if {"trade", "flat"} <= set(self.taken):
            self.done.set()

    def on_quote_tick(self, tick: Any) -> None:
        if self._take("quote"):
            price = self.instrument.make_price(Decimal(str(tick.bid_price)) - 500)
            self.resting = self.order_factory.limit(
                NAME, OrderSide.BUY, self.instrument.make_qty(Decimal("0.010")), price, TimeInForce.GTC, post_only=True
            )
            self.submit_order(self.resting)

    def on_order_accepted(self, event: Any) -> None:
        if event.client_order_id == self.resting.client_order_id and self._take("accepted"):
            self.cancel_order(self.resting)

    def on_order_canceled(self, event: Any) -> None:
        if self._take("canceled"):
            self._market(OrderSide.BUY, reduce_only=False)

    def on_order_filled(self, event: Any) -> None:
        if self._take("filled"):
            self._market(OrderSide.SELL, reduce_only=True)
        elif self._take("flat"):
            self._end()

    def on_order_rejected(self, event: Any) -> None:
        self.taken.append(f"rejected: {event.reason}")
        self.done.set()

    def _market(self, side: OrderSide, *, reduce_only: bool) -> None:
        quantity = self.instrument.make_qty(Decimal("0.010"))
        self.submit_order(self.order_factory.market(NAME, side, quantity, reduce_only=reduce_only))


def settings(kind: type, **more: object) -> Any:
    """A client's configuration, with as much of what we say as this version knows."""
    given = {
        "api_key": SCENE["hmac"]["key"],
        "api_secret": SCENE["hmac"]["secret"],
        "account_type": getattr(BinanceAccountType, "USDT_FUTURES", None) or BinanceAccountType.USDT_FUTURE,
        "base_url_http": SCENE["rest"],
        "base_url_ws": SCENE["streams"],
        "instrument_provider": InstrumentProviderConfig(load_all=False, load_ids=frozenset({NAME})),
        **more,
    }
    return kind(**{name: value for name, value in given.items() if name in kind.__struct_fields__})  # type: ignore[attr-defined]


async def main() -> list[str]:
    api = SCENE["api"]
    config = TradingNodeConfig(
        trader_id="INTEROP-001",
        logging=LoggingConfig(log_level="ERROR"),
        data_clients={BINANCE: settings(BinanceDataClientConfig)},
        exec_clients={
            BINANCE: settings(
                BinanceExecClientConfig,
                **({"base_url_ws": api, "base_url_ws_stream": SCENE["streams"]} if _trades_over_the_api() else {}),
            )
        },
        timeout_connection=20.0,
        timeout_disconnection=5.0,
        timeout_post_stop=1.0,
    )
    node = TradingNode(config=config)
    strategy = Steps()
    node.trader.add_strategy(strategy)
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()
    running = asyncio.ensure_future(node.run_async())
    try:
        await asyncio.wait_for(strategy.done.wait(), WITHIN_S)
    except TimeoutError:
        strategy.taken.append(f"nothing more within {WITHIN_S} s")
    await node.stop_async()
    running.cancel()
    return strategy.taken


def _trades_over_the_api() -> bool:
    return "base_url_ws_stream" in BinanceExecClientConfig.__struct_fields__


if __name__ == "__main__":
    steps = asyncio.run(main())
    sys.stdout.write("\n" + json.dumps(steps) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the node's threads have nothing more to do
