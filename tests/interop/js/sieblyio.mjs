// The `binance` package, unmodified but for its addresses: REST, streams on the routes, user events, the WebSocket API.
import assert from "node:assert/strict";
import { USDMClient, WebsocketAPIClient, WebsocketClient, WebsocketClientV1 } from "binance";
import { SYMBOL, first, run, scene } from "./scene.mjs";

const secret = { api_key: scene.hmac.key, api_secret: scene.hmac.secret };
const rest = new USDMClient({ ...secret, baseUrl: scene.rest, disableTimeSync: true });
const quiet = { trace() {}, info() {}, error() {} };
let price;

await run({
  "market data": async () => {
    const info = await rest.getExchangeInfo();
    assert.ok(info.symbols.some((row) => row.symbol === SYMBOL));
    const book = await rest.getOrderBook({ symbol: SYMBOL, limit: 5 });
    price = Number(book.bids[0][0]) - 500;
    assert.ok((await rest.getGlobalLongShortAccountRatio({ symbol: SYMBOL, period: "5m", limit: 3 })).length === 3);
    assert.ok((await rest.getOpenInterestStatistics({ symbol: SYMBOL, period: "5m", limit: 3 })).length === 3);
    assert.ok((await rest.getFundingRates()).length > 0);
  },
  "an order by its numeric id": async () => {
    const order = { symbol: SYMBOL, side: "BUY", type: "LIMIT", timeInForce: "GTC", quantity: 0.01, price };
    const placed = await rest.submitNewOrder(order);
    assert.ok(Number.isSafeInteger(placed.orderId));
    assert.equal((await rest.getOrder({ symbol: SYMBOL, orderId: placed.orderId })).status, "NEW");
    const changed = await rest.modifyOrder({ symbol: SYMBOL, side: "BUY", quantity: 0.02, price, orderId: placed.orderId });
    assert.equal(changed.origQty, "0.020");
    assert.equal((await rest.cancelOrder({ symbol: SYMBOL, orderId: placed.orderId })).status, "CANCELED");
    await assert.rejects(rest.cancelOrder({ symbol: SYMBOL, orderId: placed.orderId }), (error) => error.code === -2011);
  },
  "a reduce-only order that is modified": async () => {
    await rest.submitNewOrder({ symbol: SYMBOL, side: "BUY", type: "MARKET", quantity: 0.01 });
    const exit = { symbol: SYMBOL, side: "SELL", type: "LIMIT", timeInForce: "GTC", quantity: 0.01, price: price + 3000 };
    const placed = await rest.submitNewOrder({ ...exit, reduceOnly: "true" });
    const more = { symbol: SYMBOL, side: "SELL", quantity: 0.005, price: price + 3000, orderId: placed.orderId };
    assert.equal((await rest.modifyOrder({ ...more, reduceOnly: "true" })).reduceOnly, true);
    await rest.cancelAllOpenOrders({ symbol: SYMBOL });
    await rest.submitNewOrder({ symbol: SYMBOL, side: "SELL", type: "MARKET", quantity: 0.01, reduceOnly: "true" });
  },
  "streams on the routes": async () => {
    const line = new WebsocketClient({ ...secret, wsUrl: scene.streams }, quiet);
    line.on("exception", (error) => console.error(error));
    const heard = (what) => first(what, (told) => line.on("message", told), (message) => (message.data ?? message).e === what);
    const both = [heard("aggTrade"), heard("bookTicker")];
    await line.subscribe(["btcusdt@aggTrade"], "usdmMarket");
    await line.subscribe(["btcusdt@bookTicker"], "usdmPublic");
    await Promise.all(both);
    line.closeAll(true);
  },
  "streams on the old path": async () => {
    const line = new WebsocketClientV1({ ...secret }, quiet);
    line.on("error", (error) => console.error(error));
    const heard = first("markPriceUpdate", (told) => line.on("message", told), (message) => message.e === "markPriceUpdate");
    line.connectToWsUrl(`${scene.streams}/ws/btcusdt@markPrice@1s`, "usdm");
    await heard;
    line.closeAll(false);
  },
  "user events": async () => {
    const line = new WebsocketClient({ ...secret, wsUrl: scene.streams, restOptions: { baseUrl: scene.rest } }, quiet);
    line.on("exception", (error) => console.error(error));
    const filled = first("a fill", (told) => line.on("message", told), (message) => (message.data ?? message).o?.X === "FILLED");
    const opened = first("the connection", (told) => line.on("open", told));
    await line.subscribeUsdFuturesUserDataStream();
    await opened;
    const placed = await rest.submitNewOrder({ symbol: SYMBOL, side: "BUY", type: "MARKET", quantity: 0.01 });
    const event = await filled;
    assert.equal((event.data ?? event).o.i, placed.orderId);
    await rest.submitNewOrder({ symbol: SYMBOL, side: "SELL", type: "MARKET", quantity: 0.01, reduceOnly: "true" });
    line.closeAll(true);
  },
  "the WebSocket API": async () => {
    const api = new WebsocketAPIClient({ ...secret, wsUrl: scene.streams, disableTimeSync: true, attachEventListeners: false }, quiet);
    const order = { symbol: SYMBOL, side: "BUY", type: "LIMIT", timeInForce: "GTC", quantity: "0.01", price: String(price) };
    const placed = await api.submitNewFuturesOrder("usdm", { ...order, timestamp: Date.now() });
    assert.equal(placed.result.status, "NEW");
    const gone = { symbol: SYMBOL, orderId: placed.result.orderId, timestamp: Date.now() };
    assert.equal((await api.cancelFuturesOrder("usdm", gone)).result.status, "CANCELED");
    api.disconnectAll();
  },
});
