"""Faults of the venue through real sockets: that the exchange server carries out what the plan decides.

What each of them does is shown on virtual time, in `tests/simulation/test_venue_faults.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any

import httpx2
import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed

from coldframe.config.venue import VenueFaults
from tests.exchange_server.links.cable import Api, Rest, api, running, stream, wall_ms
from tests.trio_io.peer import PATIENCE_S

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000.0"}
ALWAYS = Decimal(1)
NEVER = Decimal(0)


@asynccontextmanager
async def hostile(**faults: Any) -> AsyncIterator[tuple[Rest, Api]]:
    """A venue with faults, and a session that is logged on."""
    async with running(faults=VenueFaults(**faults)) as (_, address), Rest(address) as rest, api(address) as line:
        await line.log_on()
        yield rest, line


async def place(line: Api, name: str, **more: Any) -> dict[str, Any]:
    return await line.trade("order.place", **(ORDER | more), newClientOrderId=name)


async def logged_off(line: Api) -> dict[str, Any]:
    """The answer to the first order that comes after the session, however many come before it."""
    for number in count():
        if (said := await place(line, f"n{number}"))["status"] == 401:
            return said
    raise AssertionError


async def open_names(rest: Rest) -> list[str]:
    return [row["clientOrderId"] for row in await rest.call("GET", "/fapi/v1/openOrders")]


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize(("answer", "status", "code"), [("-1007", 408, -1007), ("-1006", 400, -1006), ("503", 503, 0)])
async def test_an_answer_that_leaves_the_outcome_open(answer: str, status: int, code: int, accepted: bool) -> None:
    share = ALWAYS if accepted else NEVER
    async with hostile(orders_doubtful=ALWAYS, doubtful_answers=[answer], doubtful_accepted=share) as (rest, line):
        said = await place(line, "one")
        assert (said["status"], said["error"]["code"]) == (status, code)
        assert await open_names(rest) == (["one"] if accepted else [])
        over_rest = await rest.raw("POST", "/fapi/v1/order", rest.sign(ORDER | {"newClientOrderId": "two"}))
        assert (over_rest.status_code, over_rest.json()["code"]) == (status, code)
        assert await open_names(rest) == (["one", "two"] if accepted else [])


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/fapi/v1/nothing", 404),
        ("GET", "/fapi/v1/depth", 400),
        ("GET", "/fapi/v3/account", 400),
        ("POST", "/fapi/v1/order", 400),
        ("GET", "/futures/data/openInterestHist", 400),
    ],
)
async def test_errors_of_the_exchange_itself_are_json(verb: str, path: str, status: int) -> None:
    async with running() as (_, address), Rest(address) as rest:
        said = await rest.raw(verb, path)
        assert (said.status_code, said.headers["content-type"]) == (status, "application/json")
        assert set(said.json()) == {"code", "msg"}


@pytest.mark.parametrize("accepted", [True, False])
async def test_the_connection_is_cut_instead_of_an_answer(accepted: bool) -> None:
    share = ALWAYS if accepted else NEVER
    async with hostile(orders_doubtful=ALWAYS, doubtful_answers=["cut"], doubtful_accepted=share) as (rest, line):
        with pytest.raises(ConnectionClosed):
            await place(line, "one")
        assert await open_names(rest) == (["one"] if accepted else [])
        with pytest.raises(httpx2.RemoteProtocolError):
            await rest.raw("POST", "/fapi/v1/order", rest.sign(ORDER | {"newClientOrderId": "two"}))
        assert await open_names(rest) == (["one", "two"] if accepted else [])


async def test_answers_overtake_one_another_and_come_after_reports() -> None:
    async with running(faults=VenueFaults(answers_delayed=ALWAYS, answer_delay_ms=300)) as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as user, api(address) as line:
            await user.heard()
            await line.log_on()
            for number in range(8):
                params = ORDER | {"newClientOrderId": f"n{number}", "timestamp": wall_ms()}
                await line.socket.send_message(
                    msgspec.json.encode({"id": number, "method": "order.place", "params": params}).decode()
                )
            reported = [(await user.until("ORDER_TRADE_UPDATE"))["o"]["c"] for _ in range(8)]
            assert reported == [f"n{number}" for number in range(8)]
            with trio.fail_after(PATIENCE_S):
                order = [msgspec.json.decode(await line.socket.get_message())["id"] for _ in range(8)]
            assert sorted(order) == list(range(8))
            assert order != list(range(8))


@pytest.mark.parametrize("closes", [False, True])
async def test_private_stream_is_cut_and_market_streams_are_not(closes: bool) -> None:
    faults = VenueFaults(private_cut_s=Decimal("0.6"), cut_with_close=closes)
    async with running(faults=faults) as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as user, stream(address, "/public/ws/btcusdt@bookTicker") as market:
            with pytest.raises(ConnectionClosed) as ended:
                await user.next()
            assert (ended.value.reason is not None and ended.value.reason.code == 1001) is closes
            assert (await market.next())["e"] == "bookTicker"


async def place_until_cut(line: Api) -> None:
    for number in range(3):
        await line.ask("order.place", **line.signed(**ORDER, newClientOrderId=f"n{number}"))


async def test_a_connection_is_cut_after_every_number_of_bytes() -> None:
    """An order either reached the books or did not; no answer tells which, whatever byte was the last."""
    reached = []
    for after_bytes in range(100, 1000, 90):
        async with running(faults=VenueFaults(api_cut_after_bytes=after_bytes)) as (_, address), Rest(address) as rest:
            async with api(address) as line:
                with pytest.raises(ConnectionClosed), trio.fail_after(PATIENCE_S):
                    await place_until_cut(line)
            reached.append(len(await open_names(rest)))
    assert reached == sorted(reached)
    assert set(reached) == {0, 1, 2}


async def test_sessions_are_revoked_and_can_log_on_again() -> None:
    async with hostile(sessions_revoked_s=Decimal("0.3")) as (_, line):
        said = await logged_off(line)
        assert (said["id"], said["status"], said["error"]["code"]) == (None, 401, -2015)
        assert (await line.log_on())["status"] == 200


@pytest.mark.parametrize(("ban", "status"), [(False, 429), (True, 418)])
async def test_all_clients_are_blocked_after_a_number_of_requests(ban: bool, status: int) -> None:
    async with hostile(blocked_after_requests=4, blocked_is_ban=ban, blocked_for_s=1) as (rest, line):
        assert (await place(line, "one"))["status"] == 200
        assert await open_names(rest) == ["one"]
        said = await place(line, "two")
        assert (said["status"], said["error"]["code"]) == (status, -1003)
        blocked = await rest.raw("GET", "/fapi/v1/time")
        assert (blocked.status_code, blocked.headers["retry-after"]) == (status, "1")
        assert ("banned until" in blocked.json()["msg"]) is ban
        with trio.fail_after(PATIENCE_S):
            while (await rest.raw("GET", "/fapi/v1/time")).status_code == status:
                await trio.lowlevel.checkpoint()
        assert await open_names(rest) == ["one"]
