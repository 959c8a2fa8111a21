"""The kill switch at work on a real server: what it asks, in whose name it cancels, what it counts, and what it never does
twice."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest
import trio

from coldframe.core.connectivity.signing import HmacSigner
from coldframe.enums import PositionSide, Side
from coldframe.errors import LinkRefused
from coldframe.ids import KILL_SWITCH_COUNT, OwnId
from coldframe.model.inputs import EmergencyOrderAnswered, EmergencyOrderSent
from coldframe.secret import Secret
from coldframe.trio_io.clock import Clock, ThreadClock
from coldframe.trio_io.heartbeat import PositionKey
from coldframe.trio_io.kill_switch_orders import KillSwitchOrders
from coldframe.trio_io.kill_switch_rest import KillSwitchRest
from tests.trio_io.peer import PATIENCE_S, Line, listening
from tests.trio_io.web import Asked, Told, serving

SYMBOLS = {"a": ["BTCUSDT", "ETHUSDT"], "b": ["ETHUSDT"]}
EPOCH_MS = 1_700_000_000_000
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


def name(strategy: str, number: int) -> str:
    return str(OwnId(strategy, EPOCH_MS, number))


@attrs.define
class Venue:
    """A venue with orders by symbol. `faults` are answered to verb and path instead."""

    ordinary: dict[str, list[str]] = attrs.field(factory=dict)
    algos: dict[str, list[str]] = attrs.field(factory=dict)
    #: What lists say of an order beyond its id, by that.
    terms: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    faults: dict[str, Told] = attrs.field(factory=dict)
    #: The account's positions by symbol and side; None: what is asked for them cannot be read.
    positions: dict[tuple[str, str], str] | None = None
    weight: int = 0
    asked: list[tuple[str, dict[str, str]]] = attrs.field(factory=list)

    def __call__(self, asked: Asked) -> Told:
        params = {key: values[0] for key, values in parse_qs(asked.query).items()}
        call = f"{asked.verb} {asked.path.removeprefix('/fapi/v1/')}"
        self.asked.append((call, params))
        assert {"timestamp", "signature", "recvWindow"} <= set(params)
        self.weight += 1
        told = self.faults.get(call) or Told(json.dumps(self._answer(call, params)).encode())
        return attrs.evolve(told, headers=(*told.headers, ("X-MBX-USED-WEIGHT-1M", str(1000 + self.weight))))

    def _answer(self, call: str, params: dict[str, str]) -> Any:
        symbol = params.get("symbol", "")
        match call:
            case "DELETE allOpenOrders":
                self.ordinary.pop(symbol, None)
                return DONE
            case "DELETE algoOpenOrders":
                self.algos.pop(symbol, None)
                return DONE
            case "GET openOrders":
                return [{"clientOrderId": name, "orderId": 5, **self.terms.get(name, {})} for name in self.ordinary.get(symbol, [])]
            case "GET openAlgoOrders":
                return [{"clientAlgoId": name, "algoId": 6, **self.terms.get(name, {})} for name in self.algos.get(symbol, [])]
            case "DELETE batchOrders":
                names = json.loads(params["origClientOrderIdList"])
                assert len(names) <= 10
                self.ordinary[symbol] = [order for order in self.ordinary[symbol] if order not in names]
                return [{"clientOrderId": name} for name in names]
            case "DELETE algoOrder":
                for names in self.algos.values():
                    names[:] = [name for name in names if name != params["clientAlgoId"]]
                return {"algoId": 6, "clientAlgoId": params["clientAlgoId"], "code": "200", "msg": "success"}
            case "GET /fapi/v3/positionRisk" if self.positions is not None:
                rows = self.positions.items()
                return [{"symbol": name, "positionSide": side, "positionAmt": amount} for (name, side), amount in rows]
            case _:
                return {"orderId": 7, "status": "FILLED"}

    def calls(self, begin: str = "") -> list[str]:
        return [call for call, _ in self.asked if call.startswith(begin)]


@asynccontextmanager
async def working(
    venue: Venue, banned_until_ms: Callable[[], int] = lambda: 0, **limits: Any
) -> AsyncIterator[tuple[KillSwitchOrders, KillSwitchRest]]:
    with trio.fail_after(PATIENCE_S):
        async with serving(venue) as web:
            signer = HmacSigner(Secret("key"), Secret("secret"))
            base = f"http://127.0.0.1:{web.port}"
            clock = ThreadClock(Clock())
            line = KillSwitchRest(base, ssl.create_default_context(), signer, 5000, clock, lambda: 250, banned_until_ms, **limits)
            work = KillSwitchOrders(line, SYMBOLS, EPOCH_MS)
            yield work, line
            await trio.to_thread.run_sync(work.close)


async def test_all_orders_go_symbol_by_symbol_ordinary_and_conditional() -> None:
    venue = Venue({"BTCUSDT": [name("a", 1)], "ETHUSDT": [name("b", 2), "web_1"]}, {"BTCUSDT": [name("a", 3)]})
    async with working(venue) as (work, line):
        found = await trio.to_thread.run_sync(work.cancel, None)
        assert found.troubles == []
        assert (venue.ordinary, venue.algos) == ({}, {})
        assert sorted(venue.calls()) == ["DELETE algoOpenOrders"] * 2 + ["DELETE allOpenOrders"] * 2
        assert (await trio.to_thread.run_sync(work.count_open, None)).left == 0
        used = line.used()
    assert used.weight == 8
    assert used.counted == 1000 + venue.weight
    assert used.banned_until_ms is None


async def test_of_one_strategy_only_its_own_go() -> None:
    mine = [name("a", number) for number in range(1, 24)]
    others = [name("ab", 1), name("b", 1), "web_1", "cf.a"]
    venue = Venue({"BTCUSDT": [*mine, *others], "ETHUSDT": []}, {"ETHUSDT": [name("a", 90), name("b", 91)]})
    async with working(venue) as (work, _):
        found = await trio.to_thread.run_sync(work.cancel, "a")
        left = await trio.to_thread.run_sync(work.count_open, "a")
    assert found.troubles == []
    assert left.left == 0
    assert venue.ordinary["BTCUSDT"] == others
    assert venue.algos["ETHUSDT"] == [name("b", 91)]
    assert len(venue.calls("DELETE batchOrders")) == 3


async def test_what_does_not_work_in_one_symbol_keeps_no_other_waiting() -> None:
    venue = Venue({"BTCUSDT": [name("a", 1)], "ETHUSDT": [name("a", 2)]})
    venue.faults["DELETE algoOpenOrders"] = Told(b'{"code":-1001,"msg":"Internal\\u001b[2J"}', 503)
    async with working(venue) as (work, _):
        found = await trio.to_thread.run_sync(work.cancel, None)
        assert venue.ordinary == {}
        venue.faults["GET openOrders"] = Told(b"<html>")
        assert (await trio.to_thread.run_sync(work.count_open, None)).left is None
    assert found.troubles == ["BTCUSDT: -1001 Internal [2J", "ETHUSDT: -1001 Internal [2J"]


async def test_answers_that_cannot_be_read_or_never_end_are_troubles() -> None:
    for told, trouble in (
        (Told(b"[" * 100_000), "an answer that cannot be read"),
        (Told(b'[{"clientOrderId":"\xff"}]'), "an answer that cannot be read"),
        (Told(b'[{"clientOrderId":1e-99999999999999999999}]'), "an answer that cannot be read"),
        (Told(gzip.compress(bytes(10**6)), headers=(("Content-Encoding", "gzip"),)), "the answer is longer than 500000 bytes"),
        (Told(b"[]", headers=(("Content-Encoding", "br"),)), "the answer has an unknown or damaged compression"),
    ):
        venue = Venue({}, faults={"GET openOrders": told})
        async with working(venue, longest_answer=500_000) as (work, _):
            found = await trio.to_thread.run_sync(work.count_open, None)
        assert found.left is None
        assert all(trouble in told_trouble for told_trouble in found.troubles), found.troubles


async def test_an_answer_to_the_kill_switch_that_drips_is_given_up() -> None:
    async def dripping(line: Line) -> None:
        await line.read_request()
        await line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await line.send(b"x")
            await trio.sleep(0.01)

    async with listening(dripping) as port:
        clock = ThreadClock(Clock())
        signer = HmacSigner(Secret("key"), Secret("secret"))
        base, tls = f"http://127.0.0.1:{port}", ssl.create_default_context()
        line = KillSwitchRest(base, tls, signer, 5000, clock, lambda: 0, lambda: 0, call_timeout_s=0.2)
        with trio.fail_after(PATIENCE_S), pytest.raises(LinkRefused, match="no whole answer in time"):
            await trio.to_thread.run_sync(line.call, "GET", "/fapi/v1/openOrders", {})
        line.close()


async def test_r_not_a_byte_is_sent_to_a_venue_that_has_sent_us_away() -> None:
    venue = Venue({"BTCUSDT": [name("a", 1)]})
    venue.faults["DELETE allOpenOrders"] = Told(b"", 418, (("Retry-After", "90"),))
    async with working(venue) as (work, line):
        await trio.to_thread.run_sync(work.cancel, "absent")
        assert venue.asked == []
        await trio.to_thread.run_sync(work.cancel, None)
        asked = len(venue.asked)
        found = await trio.to_thread.run_sync(work.cancel, None)
        assert len(venue.asked) == asked
        assert all("banned by the venue (418/429) for another" in trouble for trouble in found.troubles)
        used = line.used()
        assert used.banned_until_ms is not None
        assert abs(used.banned_until_ms - line.venue_ms - 90_000) < 2_000
    known = Venue()
    async with working(known, lambda: 10**14) as (work, _):
        found = await trio.to_thread.run_sync(work.cancel, None)
    assert known.asked == []
    assert {trouble.partition(" for another ")[0] for trouble in found.troubles} == {"banned by the venue (418/429)"}


async def test_positions_are_reduced_by_orders_reported_before_sending() -> None:
    venue = Venue()
    told: list[EmergencyOrderSent | EmergencyOrderAnswered] = []
    seen: list[int] = []

    def say(event: EmergencyOrderSent | EmergencyOrderAnswered) -> None:
        told.append(event)
        seen.append(len(venue.asked))

    held = {
        ("a", "BTCUSDT", PositionSide.BOTH): Decimal("0.010"),
        ("b", "ETHUSDT", PositionSide.SHORT): Decimal("-2"),
    }
    async with working(venue) as (work, line):
        lines, found = await trio.to_thread.run_sync(work.flatten, held, say)
        assert abs(told[0].sent_ms - line.venue_ms) < 5_000  # type: ignore[union-attr]
    assert found.troubles == []
    assert lines == ["the kill switch has ordered: SELL 0.010 BTCUSDT for a", "the kill switch has ordered: BUY 2 ETHUSDT for b"]
    assert seen == [1, 2, 2, 3]
    _, (_, first), (_, second) = venue.asked
    assert first["newClientOrderId"] == name("a", KILL_SWITCH_COUNT)
    assert second["newClientOrderId"] == name("b", KILL_SWITCH_COUNT + 1)
    assert (first["type"], first["reduceOnly"], first["newOrderRespType"]) == ("MARKET", "true", "RESULT")
    # In hedge mode the flag is not allowed; the position side says that the order can only reduce.
    assert (second["positionSide"], "reduceOnly" in second) == ("SHORT", False)
    assert isinstance(told[0], EmergencyOrderSent)
    assert (told[0].side, told[0].quantity) == (Side.SELL, Decimal("0.010"))
    assert isinstance(told[1], EmergencyOrderAnswered)
    assert told[1].answer is not None
    assert told[1].answer.status == 200


async def test_an_order_without_an_answer_is_not_sent_again() -> None:
    venue = Venue()
    venue.faults["POST order"] = Told(b'{"code":-1007,"msg":"Timeout waiting for response."}', 408)
    told: list[EmergencyOrderSent | EmergencyOrderAnswered] = []
    async with working(venue) as (work, _):
        held = {("a", "BTCUSDT", PositionSide.BOTH): Decimal(-1)}
        lines, found = await trio.to_thread.run_sync(work.flatten, held, told.append)
    assert venue.calls() == ["GET /fapi/v3/positionRisk", "POST order"]
    assert lines == ["the kill switch has ordered: BUY 1 BTCUSDT for a: -1007 Timeout waiting for response."]
    assert len(found.troubles) == 1
    assert [type(effect) for effect in told] == [EmergencyOrderSent, EmergencyOrderAnswered]


A_LONG = {("a", "BTCUSDT", PositionSide.BOTH): Decimal("0.010")}


@pytest.mark.parametrize(
    "there",
    [{}, {("BTCUSDT", "BOTH"): "0.000"}, {("BTCUSDT", "BOTH"): "-0.010"}, {("ETHUSDT", "BOTH"): "1"}, {("BTCUSDT", "LONG"): "1"}],
    ids=["no position", "flat", "the other way", "another symbol", "another side"],
)
async def test_o34_nothing_is_sent_where_the_account_is_flat(there: dict[tuple[str, str], str]) -> None:
    venue, told = Venue(positions=there), []
    async with working(venue) as (work, _):
        lines, found = await trio.to_thread.run_sync(work.flatten, A_LONG, told.append)
    assert venue.calls("POST") == []
    assert (lines, found.troubles, told) == (["the account is flat there: nothing to SELL in BTCUSDT for a"], [], [])


async def test_o34_a_refusal_of_nothing_to_reduce_is_no_trouble() -> None:
    """The position was closed between the question and the order."""
    venue = Venue(positions={("BTCUSDT", "BOTH"): "0.010"})
    venue.faults["POST order"] = Told(b'{"code":-2022,"msg":"ReduceOnly Order is rejected."}', 400)
    async with working(venue) as (work, _):
        lines, found = await trio.to_thread.run_sync(work.flatten, A_LONG, lambda event: None)
    assert venue.calls("POST") == ["POST order"]
    assert (lines, found.troubles) == (["the account is flat there: nothing to SELL in BTCUSDT for a"], [])


async def test_where_the_account_says_nothing_the_order_goes_out() -> None:
    venue = Venue()
    venue.faults["GET /fapi/v3/positionRisk"] = Told(b'{"code":-1000,"msg":"An unknown error."}', 500)
    async with working(venue) as (work, _):
        lines, found = await trio.to_thread.run_sync(work.flatten, A_LONG, lambda event: None)
    assert (lines, found.troubles) == (["the kill switch has ordered: SELL 0.010 BTCUSDT for a"], [])


SELLS = {"side": "SELL", "positionSide": "BOTH", "reduceOnly": False, "closePosition": False}
LONG = {("a", "BTCUSDT", PositionSide.BOTH): Decimal("0.010")}
HEDGED = {("a", "BTCUSDT", PositionSide.LONG): Decimal("0.010"), ("a", "BTCUSDT", PositionSide.SHORT): Decimal("-0.010")}


@pytest.mark.parametrize(
    ("held", "terms", "stays"),
    [
        (LONG, {"reduceOnly": True}, True),
        (LONG, {"closePosition": True}, True),
        (LONG, {}, False),
        (LONG, {"reduceOnly": True, "side": "BUY"}, False),
        (LONG, {"reduceOnly": True, "positionSide": "WHATEVER"}, False),
        ({}, {"reduceOnly": True}, False),
        ({("b", "BTCUSDT", PositionSide.BOTH): Decimal(1)}, {"reduceOnly": True}, False),
        ({("a", "ETHUSDT", PositionSide.BOTH): Decimal(1)}, {"reduceOnly": True}, False),
        (HEDGED, {"positionSide": "LONG"}, True),
        (HEDGED, {"positionSide": "SHORT", "side": "BUY"}, True),
        (HEDGED, {"positionSide": "SHORT"}, False),
        (HEDGED, {"positionSide": "LONG", "side": "BUY"}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("conditional", [False, True], ids=["ordinary", "conditional"])
async def test_o38_what_only_reduces_a_position_stays(
    held: dict[PositionKey, Decimal], terms: dict[str, Any], stays: bool, conditional: bool
) -> None:
    stop, other = name("a", 1), name("a", 2)
    venue = Venue({"BTCUSDT": [other]}, {"BTCUSDT": []}, {stop: {**SELLS, **terms}})
    (venue.algos if conditional else venue.ordinary)["BTCUSDT"].append(stop)
    async with working(venue) as (work, _):
        found = await trio.to_thread.run_sync(partial(work.cancel_own, held, dead_man=True))
    assert found.troubles == []
    assert found.kept == stays
    assert [*venue.ordinary["BTCUSDT"], *venue.algos["BTCUSDT"]] == ([stop] if stays else [])
    off = [params for call, params in venue.asked if call == "POST countdownCancelAll"]
    assert [(call["symbol"], call["countdownTime"]) for call in off] == ([("BTCUSDT", "0")] if stays else [])


async def test_without_a_dead_man_s_switch_none_is_switched_off() -> None:
    venue = Venue({"BTCUSDT": [name("a", 1)]}, terms={name("a", 1): {**SELLS, "reduceOnly": True}})
    async with working(venue) as (work, _):
        assert (await trio.to_thread.run_sync(work.cancel_own, LONG)).kept == 1
    assert venue.calls("POST") == venue.calls("DELETE") == []
