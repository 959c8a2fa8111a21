"""The WebSocket API over sockets: a whole trade with its user events, revocation, dropped links."""

from __future__ import annotations

import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected

from coldframe.config.venue import VenueFaults, VenueLimits
from tests.exchange_server.links.cable import Rest, api, running, socket, stream


async def test_a_whole_trade_from_log_on_to_the_last_event() -> None:
    async with running() as (_, address), Rest(address) as rest, api(address) as line:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as user:
            await user.heard()
            assert (await line.log_on())["status"] == 200
            best = (await line.ask("ticker.book", symbol="BTCUSDT"))["result"]
            placed = (
                await line.trade(
                    "order.place",
                    symbol="BTCUSDT",
                    side="BUY",
                    type="LIMIT",
                    timeInForce="GTC",
                    quantity="0.010",
                    price=best["bidPrice"],
                    newClientOrderId="abc",
                )
            )["result"]
            assert (await user.until("ORDER_TRADE_UPDATE"))["o"]["c"] == "abc"
            fill = await user.until("TRADE_LITE", seconds=20)
            assert (fill["i"], fill["m"]) == (placed["orderId"], True)
            status = (await line.trade("order.status", symbol="BTCUSDT", origClientOrderId="abc"))["result"]
            assert status["status"] in ("PARTIALLY_FILLED", "FILLED")
            trades = await rest.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
            assert fill["t"] in [trade["id"] for trade in trades]
            gone = await line.trade("order.cancel", symbol="BTCUSDT", orderId=1)
            assert gone["error"] == {"code": -2011, "msg": "Unknown order sent."}


async def test_a_revoked_key_is_told_with_the_next_request() -> None:
    async with running() as (venue, address), api(address) as line:
        await line.log_on()
        venue._exchange.keys.revoke(line.keys.ed25519_api_key)
        answer = await line.trade("order.status", symbol="BTCUSDT", orderId=1)
        assert (answer["id"], answer["status"], answer["error"]["code"]) == (None, 401, -2015)


async def test_the_handshake_costs_weight_and_limits_may_be_hidden() -> None:
    async with running() as (_, address):
        async with api(address) as line:
            assert (await line.ask("session.status"))["rateLimits"][0]["count"] == 7
        async with api(address, query="?returnRateLimits=false") as line:
            answer = await line.ask("session.status")
            assert "rateLimits" not in answer
            assert answer["result"]["returnRateLimits"] is False


@pytest.mark.parametrize(
    ("settings", "status"),
    [({"faults": VenueFaults(banned_for_s=60)}, 418), ({"limits": VenueLimits(weight_1m=4)}, 429)],
)
async def test_handshakes_are_refused_during_a_ban_or_without_weight(settings: dict[str, object], status: int) -> None:
    async with running(**settings) as (_, address):
        with pytest.RaisesGroup(pytest.RaisesExc(ConnectionRejected), flatten_subgroups=True) as rejected:
            async with socket(address.api):
                pass
        answer = rejected.value.exceptions[0]
        assert isinstance(answer, ConnectionRejected)
        assert answer.status_code == status
        assert answer.body is not None
        assert msgspec.json.decode(answer.body)["code"] == -1003


async def test_dropped_link_ends_without_close_frame_and_reopens() -> None:
    async with running() as (venue, address):
        async with api(address) as line:
            await line.log_on()
            for link in list(venue._http_server.api_links):
                link.drop()
            with pytest.raises(ConnectionClosed), trio.fail_after(15):
                await line.socket.get_message()
        async with api(address) as line:
            assert (await line.ask("session.status"))["result"]["apiKey"] is None


async def test_answers_come_under_their_ids_whatever_they_are() -> None:
    async with running() as (_, address), socket(address.api) as line:
        ids = ["9ca10e58-7452-467e-9454-f669bb9c764e", "0123abcd", 0, 12, None]
        for number in ids:
            await line.send_message(msgspec.json.encode({"id": number, "method": "session.status"}).decode())
        with trio.fail_after(15):
            assert [msgspec.json.decode(await line.get_message())["id"] for _ in ids] == ids


async def test_nonsense_is_answered_and_does_not_end_the_link() -> None:
    async with running() as (_, address), socket(address.api) as line:
        for frame in ("{", "[]", '{"id":1}', '{"id":1,"method":"order.place","params":[]}', '{"id":1,"method":"x"}'):
            await line.send_message(frame)
            with trio.fail_after(15):
                assert msgspec.json.decode(await line.get_message())["status"] == 400
        await line.send_message(b"\x00\x01")
        with trio.fail_after(15):
            assert msgspec.json.decode(await line.get_message())["status"] == 400
