#!/usr/bin/env bash
# @binance/derivatives-trading-usds-futures 38.1.1 (the venue's own) and binance 3.6.5 (npm, Node 18 or later), against a server
# of our own.
#
# A reasonable guess: a client for an API whose ids have 64 bits either has one type for them, always, or loses digits above 2^53.
#
# What happens: the type depends on the value. The venue's own client gives orderId as a number up to 2^53 - 1 and as a bigint
# above. The ids of most symbols are small; some, ETHUSDT for one, have 19 digits. So the same line of code works for BTCUSDT, and
# for ETHUSDT JSON.stringify(order) raises, a Map does not find an id under the other type, and `orderId + 1` raises. The client
# called binance gives a number always: the last digits are lost, which is the id of no order or of another.
#
# Why it matters for a bot: it is written and tested with BTCUSDT. With the second symbol its log or its store of orders breaks in
# the moment an order has been placed; the other client cancels "an unknown order" while the real one stays.
#
# What to do instead: turn ids into text at the border, String(order.orderId), in the venue's client, and name orders by
# newClientOrderId, which is a text everywhere.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

npm init -y > npm.log
npm install --silent --no-audit --no-fund @binance/derivatives-trading-usds-futures@38.1.1 binance@3.6.5

cat > ids.mjs <<'JS'
import http from "node:http";
import { DerivativesTradingUsdsFutures } from "@binance/derivatives-trading-usds-futures";
import { USDMClient } from "binance";

// Answers every query of an order with that order; the id is written as digits, as the venue does.
const server = http.createServer((request, answer) => {
  const id = new URL(request.url, "http://venue").searchParams.get("orderId");
  answer.writeHead(200, { "Content-Type": "application/json" });
  answer.end(`{"orderId":${id},"symbol":"BTCUSDT","status":"NEW","clientOrderId":"mine-1"}`);
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const base = `http://127.0.0.1:${server.address().port}`;
const own = new DerivativesTradingUsdsFutures({ configurationRestAPI: { apiKey: "key", apiSecret: "secret", basePath: base } });
const other = new USDMClient({ api_key: "key", api_secret: "secret", baseUrl: base, disableTimeSync: true });

const trying = (action) => {
  try {
    return action();
  } catch (error) {
    return error.constructor.name;
  }
};
for (const id of [314159265n, 8389765000000000123n]) {
  const order = await (await own.restAPI.queryOrder({ symbol: "BTCUSDT", orderId: id })).data();
  const text = trying(() => JSON.stringify(order).length > 0);
  const next = trying(() => String(order.orderId + 1));
  console.log(`own ${id}: ${typeof order.orderId} ${order.orderId}; stringify: ${text}; plus 1: ${next}`);
  const theirs = await other.getOrder({ symbol: "BTCUSDT", orderId: String(id) });
  console.log(`binance ${id}: ${typeof theirs.orderId} ${theirs.orderId}`);
}
process.exit(0);
JS
timeout 60 node ids.mjs > seen.txt

cat > was.txt <<'TEXT'
own 314159265: number 314159265; stringify: true; plus 1: 314159266
binance 314159265: number 314159265
own 8389765000000000123: bigint 8389765000000000123; stringify: TypeError; plus 1: TypeError
binance 8389765000000000123: number 8389765000000000000
TEXT
for name in @binance/derivatives-trading-usds-futures binance; do
  echo "$name $(node -p "JSON.parse(fs.readFileSync('node_modules/$name/package.json')).version")"
done
echo "expected: one type of id whatever its value, and no digit lost"
cat seen.txt
diff was.txt seen.txt || { echo "the behaviour has changed"; exit 1; }
