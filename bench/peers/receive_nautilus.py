"""nautilus_trader: a whole trading node with its adapter for the futures, and a strategy that looks at quotes, trades and books."""

from __future__ import annotations

from typing import Any

from measuring import Given, Marks
from nautilus_trader.adapters.binance import BINANCE, BinanceAccountType, BinanceDataClientConfig, BinanceLiveDataClientFactory
from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy


class Looking(Strategy):  # type: ignore[misc]
    def __init__(self, ids: list[InstrumentId], marks: Marks) -> None:
        super().__init__()
        self._ids, self._marks, self.last = ids, marks, 0.0

    def on_start(self) -> None:
        for each in self._ids:
            self.subscribe_quote_ticks(each)
            self.subscribe_trade_ticks(each)
            self.subscribe_order_book_deltas(each, params={"update_speed": 100})

    def on_quote_tick(self, tick: Any) -> None:
        self.last = float(tick.bid_price) + float(tick.ask_price)
        self._marks.small()

    def on_trade_tick(self, tick: Any) -> None:
        self.last = float(tick.price) * float(tick.size)
        self._marks.small()

    def on_order_book_deltas(self, deltas: Any) -> None:
        book = self.cache.order_book(deltas.instrument_id)
        self.last = float(book.best_bid_price()) if book.best_ask_price() else 0.0


def main() -> None:
    given = Given()
    secure = "s" if given.tls else ""
    ids = [InstrumentId.from_str(f"{symbol}-PERP.BINANCE") for symbol in given.symbols]
    client = BinanceDataClientConfig(
        api_key="none",
        api_secret="none",
        account_type=BinanceAccountType.USDT_FUTURES,
        base_url_http=f"http{secure}://{given.host}",
        base_url_ws=f"ws{secure}://{given.host}",
        use_agg_trade_ticks=True,
        instrument_provider=InstrumentProviderConfig(load_ids=frozenset(ids)),
    )
    node = TradingNode(TradingNodeConfig(logging=LoggingConfig(log_level="ERROR"), data_clients={BINANCE: client}))
    node.trader.add_strategy(Looking(ids, Marks(given.marks, given.out)))
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.build()
    node.run()


if __name__ == "__main__":
    main()
