"""Each fault of the venue through real sockets: what a client gets to see of it, and what the venue's books say afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed

from coldframe.config.venue import VenueFaults
from coldframe.wire.rest import Answer, outcome_class
from tests.exchange_server.links.cable import Api, Rest, Stream, api, running, stream, wall_ms

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


@pytest.mark.parametrize("code", [-1001, -1008])
async def test_an_answer_that_says_that_nothing_was_done_is_true(code: int) -> None:
    async with hostile(orders_doubtful=ALWAYS, doubtful_answers=[str(code)], doubtful_accepted=ALWAYS) as (rest, line):
        said = await place(line, "one")
        assert (said["status"], said["error"]["code"]) == (503, code)
        assert await open_names(rest) == []


FORMS = {"json": "application/json", "bare": None, "text": "text/plain"}
TEXTS = {
    "503": (503, "Unknown error, please check your request or try again later."),
    "503-unavailable": (503, "Service Unavailable."),
    "-1001": (503, "Internal error; unable to process your request. Please try again."),
    "-1007": (408, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", TEXTS)
async def test_injected_errors_come_in_each_form(form: str, answer: str) -> None:
    faults = {"orders_doubtful": ALWAYS, "doubtful_answers": [answer], "error_bodies": [form], "doubtful_accepted": NEVER}
    async with hostile(**faults) as (rest, _):
        said = await rest.raw("POST", "/fapi/v1/order", rest.sign(ORDER))
        assert (said.status_code, said.headers.get("content-type")) == (TEXTS[answer][0], FORMS[form])
        assert (said.text if form == "text" else said.json()["msg"]) == TEXTS[answer][1]
        found = Answer(said.status_code, dict(said.headers), said.content)
        assert found.fault is not None
        assert found.fault.msg == TEXTS[answer][1]
        assert outcome_class(found.status, found.fault).definite is (answer in ("503-unavailable", "-1001"))
        assert await open_names(rest) == []


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


@pytest.mark.parametrize("answer", ["503", "-1007", "-1006"])
async def test_a_cancel_that_is_repeated_does_no_harm(answer: str) -> None:
    """The exchange's own clients repeat a DELETE up to four times on a 503: the order ends once, and nothing else does."""
    faults = {"doubtful_calls": ["cancel"], "orders_doubtful": ALWAYS, "doubtful_accepted": ALWAYS, "doubtful_answers": [answer]}
    async with running(faults=VenueFaults(**faults)) as (_, address), Rest(address) as rest, api(address) as line:
        await line.log_on()
        key = (await rest.raw("POST", "/fapi/v1/listenKey")).json()["listenKey"]
        async with stream(address, f"/private/ws/{key}") as ear:
            for name in ("one", "two"):
                assert (await place(line, name))["status"] == 200
            for _ in range(5):
                said = await rest.raw("DELETE", "/fapi/v1/order", rest.sign({"symbol": "BTCUSDT", "origClientOrderId": "one"}))
                assert said.status_code >= 400
            assert await open_names(rest) == ["two"]
            await rest.call("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
            ended = [(await ear.until("ORDER_TRADE_UPDATE"))["o"] for _ in range(4)]
            assert [(order["c"], order["x"]) for order in ended if order["x"] != "NEW"] == [
                ("one", "CANCELED"),
                ("two", "CANCELED"),
            ]


async def test_cancels_and_amendments_of_unknown_outcome_may_have_been_carried_out() -> None:
    faults = {"doubtful_calls": ["modify", "cancel"], "orders_doubtful": ALWAYS, "doubtful_accepted": ALWAYS}
    async with hostile(**faults) as (rest, line):
        assert (await place(line, "one"))["status"] == 200
        amended = {"symbol": "BTCUSDT", "side": "BUY", "origClientOrderId": "one", "quantity": "0.020", "price": "59000.0"}
        assert (await line.trade("order.modify", **amended))["error"]["code"] == -1007
        assert [row["origQty"] for row in await rest.call("GET", "/fapi/v1/openOrders")] == ["0.020"]
        assert (await line.trade("order.cancel", symbol="BTCUSDT", origClientOrderId="one"))["error"]["code"] == -1007
        assert await open_names(rest) == []


async def test_no_answer_at_all() -> None:
    async with hostile(orders_doubtful=ALWAYS, doubtful_answers=["silence"], doubtful_accepted=ALWAYS) as (rest, line):
        with trio.move_on_after(0.3) as waited:
            await place(line, "one")
        assert waited.cancelled_caught
        assert await open_names(rest) == ["one"]


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


async def test_an_answer_that_comes_late_is_true_and_a_late_request_is_late() -> None:
    for kind, there in (("late-answer", ["one"]), ("late-request", [])):
        async with hostile(orders_doubtful=ALWAYS, doubtful_answers=[kind], late_ms=400) as (rest, line):
            async with trio.open_nursery() as nursery:
                answers: list[dict[str, Any]] = []

                async def ask(to: Api = line, into: list[dict[str, Any]] = answers) -> None:
                    into.append(await place(to, "one"))

                nursery.start_soon(ask)
                await trio.sleep(0.2)
                assert (await open_names(rest), answers) == (there, [])
            assert answers[0]["status"] == 200
            assert await open_names(rest) == ["one"]


async def test_latency_holds_up_every_request() -> None:
    async with running(faults=VenueFaults(latency_ms=150)) as (_, address), Rest(address) as rest, api(address) as line:
        for asked in (rest.get("/fapi/v1/time"), line.log_on(), rest.call("GET", "/fapi/v1/openOrders")):
            began = trio.current_time()
            await asked
            assert trio.current_time() - began >= 0.15


async def test_a_request_that_travels_longer_than_its_window_is_refused() -> None:
    async with hostile(orders_doubtful=ALWAYS, doubtful_answers=["late-request"], late_ms=400) as (rest, line):
        said = await place(line, "one", recvWindow=200)
        assert said["error"]["code"] == -1021
        assert await open_names(rest) == []


async def test_answers_overtake_one_another_and_come_after_reports() -> None:
    async with running(faults=VenueFaults(answers_delayed=ALWAYS, answer_delay_ms=300)) as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as user, api(address) as line:
            await trio.sleep(0.05)
            await line.log_on()
            for number in range(8):
                params = ORDER | {"newClientOrderId": f"n{number}", "timestamp": wall_ms()}
                await line.socket.send_message(
                    msgspec.json.encode({"id": number, "method": "order.place", "params": params}).decode()
                )
            began = trio.current_time()
            reported = [(await user.until("ORDER_TRADE_UPDATE"))["o"]["c"] for _ in range(8)]
            assert trio.current_time() - began < 0.2
            assert reported == [f"n{number}" for number in range(8)]
            with trio.fail_after(5):
                order = [msgspec.json.decode(await line.socket.get_message())["id"] for _ in range(8)]
            assert sorted(order) == list(range(8))
            assert order != list(range(8))


@asynccontextmanager
async def trading(**faults: Any) -> AsyncIterator[tuple[Rest, Stream]]:
    """A venue with faults, and a client that listens to its own account."""
    async with running(faults=VenueFaults(**faults)) as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as user:
            await trio.sleep(0.05)
            yield rest, user


async def take(rest: Rest) -> None:
    """Takes a little of the book."""
    await rest.call("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")


async def heard(user: Stream, seconds: float) -> list[dict[str, Any]]:
    """Everything that comes within a while."""
    found = []
    with trio.move_on_after(seconds):
        while True:
            found.append(await user.next(60))
    return found


async def test_reports_of_fills_come_twice() -> None:
    async with trading(fills_duplicated=ALWAYS, duplicate_delay_ms=100) as (rest, user):
        await take(rest)
        events = Counter((event["e"], event.get("o", {}).get("x")) for event in await heard(user, 0.6))
        fills = len(await rest.call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))
        assert fills >= 1
        assert events[("TRADE_LITE", None)] == events[("ORDER_TRADE_UPDATE", "TRADE")] == 2 * fills
        assert events[("ORDER_TRADE_UPDATE", "NEW")] == 1


async def test_private_events_come_late_or_not_at_all() -> None:
    async with trading(events_delayed=ALWAYS, event_delay_ms=900) as (rest, user):
        began = trio.current_time()
        await take(rest)
        kinds = [event["e"] for event in await heard(user, 1.3)]
        assert kinds[0] == "ORDER_TRADE_UPDATE"
        assert {"TRADE_LITE", "ACCOUNT_UPDATE"} <= set(kinds)
        assert trio.current_time() - began < 3
    async with trading(events_dropped=ALWAYS) as (rest, user):
        await take(rest)
        assert await heard(user, 0.4) == []


@pytest.mark.parametrize("closes", [False, True])
async def test_the_private_stream_is_cut_and_the_market_streams_are_not(closes: bool) -> None:
    faults = VenueFaults(private_cut_s=Decimal("0.6"), cut_with_close=closes)
    async with running(faults=faults) as (_, address), Rest(address) as rest:
        key = (await rest.call("POST", "/fapi/v1/listenKey"))["listenKey"]
        async with stream(address, f"/private/ws/{key}") as user, stream(address, "/public/ws/btcusdt@bookTicker") as market:
            with pytest.raises(ConnectionClosed) as ended:
                await user.next(3)
            assert (ended.value.reason is not None and ended.value.reason.code == 1001) is closes
            assert (await market.next())["e"] == "bookTicker"


async def test_market_streams_and_sessions_can_be_cut_too() -> None:
    faults = VenueFaults(market_cut_s=Decimal("0.4"), api_cut_s=Decimal("0.7"))
    async with (
        running(faults=faults) as (_, address),
        stream(address, "/public/ws/btcusdt@depth@500ms") as market,
        api(address) as line,
    ):
        with pytest.raises(ConnectionClosed), trio.fail_after(3):
            await heard(market, 10)
        with pytest.raises(ConnectionClosed), trio.fail_after(3):
            await line.socket.get_message()


async def place_until_cut(line: Api) -> None:
    for number in range(3):
        await line.ask("order.place", **line.signed(**ORDER, newClientOrderId=f"n{number}"))


async def test_a_connection_is_cut_after_every_number_of_bytes() -> None:
    """An order either reached the books or did not; no answer tells which, whatever byte was the last."""
    reached = []
    for after_bytes in range(100, 1000, 90):
        async with running(faults=VenueFaults(api_cut_after_bytes=after_bytes)) as (_, address), Rest(address) as rest:
            async with api(address) as line:
                with pytest.raises(ConnectionClosed), trio.fail_after(5):
                    await place_until_cut(line)
            reached.append(len(await open_names(rest)))
    assert reached == sorted(reached)
    assert set(reached) == {0, 1, 2}


@pytest.mark.parametrize("silently", [False, True])
async def test_listen_keys_expire_before_their_time(silently: bool) -> None:
    faults = {"listen_keys_expire_s": Decimal("0.5"), "listen_keys_expire_silently": silently}
    async with trading(**faults) as (rest, user):
        told = [event["e"] for event in await heard(user, 0.8)]
        assert told == ([] if silently else ["listenKeyExpired"])
        assert (await rest.raw("PUT", "/fapi/v1/listenKey")).json()["code"] == -1125
        await take(rest)
        assert await heard(user, 0.2) == [], "the link of a dead key stays open and silent"


async def test_sessions_are_revoked_and_can_log_on_again() -> None:
    async with hostile(sessions_revoked_s=Decimal("0.3")) as (_, line):
        await trio.sleep(0.4)
        said = await place(line, "one")
        assert (said["id"], said["status"], said["error"]["code"]) == (None, 401, -2015)
        assert (await line.log_on())["status"] == 200


async def test_queries_forget_new_orders_for_a_while() -> None:
    faults = {"orders_forgotten": ALWAYS, "forgotten_by_query_s": Decimal("0.5"), "forgotten_by_list_s": Decimal("0.5")}
    async with hostile(**faults) as (rest, line):
        await place(line, "one")
        question = {"symbol": "BTCUSDT", "origClientOrderId": "one"}
        assert (await line.trade("order.status", **question))["error"]["code"] == -2013
        assert (await rest.call("GET", "/fapi/v1/order", **question))["code"] == -2013
        assert await open_names(rest) == []
        await trio.sleep(0.6)
        assert (await line.trade("order.status", **question))["result"]["status"] == "NEW"
        assert await open_names(rest) == ["one"]


@pytest.mark.parametrize(("ban", "status"), [(False, 429), (True, 418)])
async def test_everybody_is_blocked_after_a_number_of_requests(ban: bool, status: int) -> None:
    async with hostile(blocked_after_requests=4, blocked_is_ban=ban, blocked_for_s=1) as (rest, line):
        assert (await place(line, "one"))["status"] == 200
        assert await open_names(rest) == ["one"]
        said = await place(line, "two")
        assert (said["status"], said["error"]["code"]) == (status, -1003)
        blocked = await rest.raw("GET", "/fapi/v1/time")
        assert (blocked.status_code, blocked.headers["retry-after"]) == (status, "1")
        assert ("banned until" in blocked.json()["msg"]) is ban
        await trio.sleep(1.1)
        assert await open_names(rest) == ["one"]
