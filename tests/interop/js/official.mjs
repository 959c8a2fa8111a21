// The exchange's own JavaScript client, unmodified but for its addresses: REST, WebSocket API, streams, user events.
import assert from "node:assert/strict";
import { DerivativesTradingUsdsFutures } from "@binance/derivatives-trading-usds-futures";
import { SYMBOL, first, run, scene } from "./scene.mjs";

const secret = { apiKey: scene.hmac.key, apiSecret: scene.hmac.secret };
const client = new DerivativesTradingUsdsFutures({
  configurationRestAPI: { ...secret, basePath: scene.rest, timeout: 10_000 },
  configurationWebsocketAPI: { ...secret, wsURL: scene.api },
  configurationWebsocketStreams: { wsURL: scene.streams },
});
const rest = client.restAPI;
const data = async (call) => (await call).data();
let price;

await run({
  "market data": async () => {
    const info = await data(rest.exchangeInformation());
    const listed = info.symbols.find((row) => row.symbol === SYMBOL);
    assert.deepEqual(listed.timeInForce, ["GTC", "IOC", "FOK", "GTX", "GTD"]);
    const book = await data(rest.orderBook({ symbol: SYMBOL, limit: 5 }));
    price = Number(book.bids[0][0]) - 500;
    assert.ok(Number(book.bids[0][0]) < Number(book.asks[0][0]));
    assert.ok((await data(rest.openInterestStatistics({ symbol: SYMBOL, period: "5m" }))).length > 0);
    assert.ok((await data(rest.takerBuySellVolume({ symbol: SYMBOL, period: "5m" }))).length > 0);
    assert.ok((await data(rest.longShortRatio({ symbol: SYMBOL, period: "5m" }))).length > 0);
    assert.ok((await data(rest.getFundingRateInfo())).length > 0);
  },
  "an order over REST, its id intact": async () => {
    const order = { symbol: SYMBOL, side: "BUY", type: "LIMIT", timeInForce: "GTC", quantity: 0.01, price };
    const placed = await data(rest.newOrder(order));
    assert.equal(placed.status, "NEW");
    const found = await data(rest.queryOrder({ symbol: SYMBOL, orderId: placed.orderId }));
    assert.equal(found.clientOrderId, placed.clientOrderId);
    const changed = await data(
      rest.modifyOrder({ symbol: SYMBOL, side: "BUY", quantity: 0.02, price, orderId: placed.orderId }),
    );
    assert.equal(changed.origQty, "0.020");
    const gone = await data(rest.cancelOrder({ symbol: SYMBOL, orderId: placed.orderId }));
    assert.equal(gone.status, "CANCELED");
    await assert.rejects(rest.cancelOrder({ symbol: SYMBOL, orderId: placed.orderId }), /Unknown order sent/);
  },
  "a fill, a position, a stop that lives with it": async () => {
    await rest.newOrder({ symbol: SYMBOL, side: "BUY", type: "MARKET", quantity: 0.01 });
    const [position] = await data(rest.positionInformationV3({ symbol: SYMBOL }));
    assert.equal(position.positionAmt, "0.010");
    const stop = { algoType: "CONDITIONAL", symbol: SYMBOL, side: "SELL", type: "STOP_MARKET", triggerPrice: price - 5000 };
    const placed = await data(rest.newAlgoOrder({ ...stop, closePosition: "true" }));
    assert.equal(placed.timeInForce, "GTE_GTC");
    await rest.newOrder({ symbol: SYMBOL, side: "SELL", type: "MARKET", quantity: 0.01, reduceOnly: "true" });
    assert.deepEqual(await data(rest.currentAllAlgoOpenOrders({ symbol: SYMBOL })), []);
    const trades = await data(rest.accountTradeList({ symbol: SYMBOL }));
    assert.equal(trades.at(-1).baseQty, "0");
  },
  "the WebSocket API": async () => {
    const line = await client.websocketAPI.connect();
    const order = { symbol: SYMBOL, side: "BUY", type: "LIMIT", timeInForce: "GTC", quantity: 0.01, price };
    const placed = (await line.newOrder(order)).data;
    const found = (await line.queryOrder({ symbol: SYMBOL, orderId: placed.orderId })).data;
    assert.equal(found.status, "NEW");
    assert.equal((await line.cancelOrder({ symbol: SYMBOL, orderId: placed.orderId })).data.status, "CANCELED");
    assert.ok((await line.orderBook({ symbol: SYMBOL, limit: 5 })).data.bids.length === 5);
    await line.disconnect();
  },
  "streams and user events": async () => {
    const line = await client.websocketStreams.connect();
    const { listenKey } = await data(rest.startUserDataStream());
    const heard = [
      first("aggTrade", (told) => line.aggregateTradeStreams({ symbol: "btcusdt" }).on("message", told)),
      first("depth", (told) => line.diffBookDepthStreams({ symbol: "btcusdt", updateSpeed: "100ms" }).on("message", told)),
      first("mark price", (told) => line.markPriceStream({ symbol: "btcusdt", updateSpeed: "1s" }).on("message", told)),
    ];
    const filled = first(
      "a fill",
      (told) => line.userData(listenKey).on("message", told),
      (event) => event.e === "ORDER_TRADE_UPDATE" && event.o.X === "FILLED",
    );
    await Promise.all(heard);
    const placed = await data(rest.newOrder({ symbol: SYMBOL, side: "BUY", type: "MARKET", quantity: 0.01 }));
    const event = await filled;
    assert.equal(String(event.o.i), String(placed.orderId));
    await rest.newOrder({ symbol: SYMBOL, side: "SELL", type: "MARKET", quantity: 0.01, reduceOnly: "true" });
    await line.disconnect();
  },
});
