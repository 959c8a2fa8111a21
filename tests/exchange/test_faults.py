"""The plan of faults by itself: what it decides, that shares are kept, and that a seed repeats everything."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random

import msgspec
import pytest

from coldframe.config.venue import DOUBTFUL_ANSWERS, VenueFaults
from coldframe.exchange.exchange import PrivateEvent
from coldframe.exchange.faults import NO_FAULT, FaultDecision, FaultPlan, InjectedFault, ResponseMode
from coldframe.tables import Unfit

ALL = {"orders_doubtful": Decimal(1), "doubtful_answers": list(DOUBTFUL_ANSWERS)}


def plan(seed: int = 7, **settings: object) -> FaultPlan:
    return FaultPlan(VenueFaults(**settings), seed, 0, Random)  # type: ignore[arg-type]


def courses(faulty: FaultPlan, number: int, call: str = "order.place") -> list[FaultDecision]:
    return [faulty.decide(call, {}, 0) for _ in range(number)]


def event(number: int, *, fill: bool = True) -> PrivateEvent:
    return PrivateEvent("key", "ORDER_TRADE_UPDATE", b"%d" % number, fill)


def leaving(faulty: FaultPlan, events: list[PrivateEvent], until_ms: int) -> list[int]:
    """Hands over events, one a millisecond, and tells which leave, in order, until then."""
    left = []
    for now_ms in range(until_ms):
        left += faulty.passing(events[now_ms : now_ms + 1], now_ms)
    return [int(got.payload) for got in left]


def test_nothing_goes_wrong_unless_it_is_said() -> None:
    quiet = plan()
    calls = ("order.place", "order.modify", "order.cancel", "order.status", "POST /fapi/v1/order", "GET /fapi/v1/openOrders")
    assert all(quiet.decide(call, {"newClientOrderId": "a", "origClientOrderId": "a"}, 0) is NO_FAULT for call in calls)
    assert not quiet.blocks()
    assert quiet.due(10**12) == []
    events = [event(1), event(2)]
    assert quiet.passing(events, 0) is events


def test_same_seed_draws_the_same_faults_another_seed_differs() -> None:
    first, again, other = (courses(plan(seed, **ALL), 200) for seed in (7, 7, 8))
    assert first == again != other


def test_switching_on_one_fault_does_not_move_another() -> None:
    alone = [decision.instead for decision in courses(plan(orders_doubtful=Decimal("0.3")), 200)]
    with_delays = plan(orders_doubtful=Decimal("0.3"), answers_delayed=Decimal(1), fills_duplicated=Decimal("0.5"))
    with_delays.passing([event(1)] * 50, 0)
    assert [decision.instead for decision in courses(with_delays, 200)] == alone


def test_shares_are_kept() -> None:
    drawn = courses(plan(orders_doubtful=Decimal("0.05"), doubtful_accepted=Decimal("0.5")), 20_000)
    doubtful = [number for number in drawn if number is not NO_FAULT]
    assert 850 <= len(doubtful) <= 1150
    assert 0.44 <= sum(order.carried_out for order in doubtful) / len(doubtful) <= 0.56
    assert {order.instead.code for order in doubtful if order.instead} == {-1007}


def test_every_kind_of_answer_comes() -> None:
    drawn = courses(plan(late_ms=1234, **ALL), 3000)
    said = Counter(number.instead.code for number in drawn if number.instead)
    assert set(said) == {-1000, -1001, -1006, -1007, -1008, 0}
    assert {number.ending for number in drawn} == set(ResponseMode)
    assert {(number.wait_ms, number.hold_ms) for number in drawn} == {(0, 0), (1234, 0), (0, 1234)}
    for number in drawn:
        if number.instead is not None:
            assert number.status == {-1000: 400, -1006: 400, -1007: 408}.get(number.instead.code, 503)
            never = number.instead.code in (-1001, -1008) or number.instead.msg == "Service Unavailable."
            assert not (number.carried_out and never), "these say that nothing was done"


def test_each_form_of_an_error_comes_as_often_as_the_others() -> None:
    drawn = courses(plan(orders_doubtful=Decimal(1), error_bodies=["json", "bare", "text"]), 3000)
    assert all(900 <= count <= 1100 for count in Counter(decision.form for decision in drawn).values())
    assert {decision.form for decision in courses(plan(orders_doubtful=Decimal(1)), 100)} == {"json"}


def test_a_throttled_venue_lets_cancels_and_reducing_orders_pass() -> None:
    busy = plan(orders_doubtful=Decimal(1), doubtful_answers=["-1008"])
    assert busy.decide("order.cancel", {}, 0) is NO_FAULT
    assert busy.decide("order.place", {"reduceOnly": "true"}, 0) is NO_FAULT
    assert busy.decide("order.place", {"reduceOnly": "false"}, 0).instead is not None


def test_kinds_of_requests_can_be_chosen() -> None:
    only = plan(orders_doubtful=Decimal(1), doubtful_calls=["cancel"])
    assert courses(only, 5) == [NO_FAULT] * 5
    assert only.decide("DELETE /fapi/v1/order", {}, 0).instead is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"doubtful_calls": ["fly"]},
        {"doubtful_answers": []},
        {"error_bodies": ["html"]},
        {"hidden_for_s": []},
        {"hidden_for_s": ["-1"]},
        {"hidden_for_s": ["1e3"]},
        {"orders_doubtful": Decimal("1.1")},
    ],
)
def test_what_is_no_fault_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Unfit):
        VenueFaults(**wrong)  # type: ignore[arg-type]


def test_queries_forget_an_order_for_a_while() -> None:
    faulty = plan(orders_forgotten=Decimal(1), forgotten_by_query_s=Decimal(2), forgotten_by_list_s=Decimal(1))
    faulty.decide("order.place", {"newClientOrderId": "a"}, 1000)
    fault = faulty.decide("order.status", {"origClientOrderId": "a"}, 2999).instead
    assert fault is not None
    assert fault.code == -2013
    assert faulty.decide("order.status", {"origClientOrderId": "b"}, 2999) is NO_FAULT
    assert faulty.decide("order.status", {"origClientOrderId": "a"}, 3000) is NO_FAULT
    rows = msgspec.json.encode([{"clientOrderId": "a"}, {"clientOrderId": "b"}])
    assert msgspec.json.decode(faulty.listed("GET /fapi/v1/openOrders", rows, 1999)) == [{"clientOrderId": "b"}]
    assert faulty.listed("GET /fapi/v1/allOrders", rows, 1999) is rows
    assert len(msgspec.json.decode(faulty.listed("GET /fapi/v1/openOrders", rows, 2000))) == 2


HIDDEN = {"orders_hidden": Decimal(1), "hidden_for_s": ["3"]}
ROWS = msgspec.json.encode([{"clientOrderId": "a", "clientAlgoId": "a"}, {"clientOrderId": "b", "clientAlgoId": "b"}])


@pytest.mark.parametrize("place", ["order.place", "algoOrder.place"])
@pytest.mark.parametrize(("where", "seen_by"), [(["query"], "list"), (["list"], "query"), (["query", "list"], "")])
def test_orders_are_hidden_where_and_as_long_as_is_said(place: str, where: list[str], seen_by: str) -> None:
    made = plan(**HIDDEN, hidden_from=where)
    algo = place.startswith("algo")
    made.decide(place, {"clientAlgoId" if algo else "newClientOrderId": "a"}, 1000)
    ask = ("GET /fapi/v1/algoOrder", "clientAlgoId") if algo else ("order.status", "origClientOrderId")
    lists = "GET /fapi/v1/openAlgoOrders" if algo else "GET /fapi/v1/openOrders"
    for now_ms, hidden in ((1000, True), (3999, True), (4000, False)):
        queried = made.decide(ask[0], {ask[1]: "a"}, now_ms).instead is None
        listed = len(msgspec.json.decode(made.listed(lists, ROWS, now_ms))) == 2
        assert queried is (not hidden or seen_by == "query")
        assert listed is (not hidden or seen_by == "list")
    assert made.decide(ask[0], {ask[1]: "b"}, 1000) is NO_FAULT


def test_each_hidden_order_draws_its_own_times() -> None:
    made = plan(orders_hidden=Decimal(1), hidden_after_s=Decimal(10), hidden_for_s=["2", "40"])
    for number in range(200):
        made.decide("order.place", {"newClientOrderId": str(number)}, 0)
    spans = list(made._hidden.values())
    assert {until_ms - from_ms for from_ms, until_ms in spans} == {2_000, 40_000}
    assert 0 <= min(spans)[0] < 2_000 < 8_000 < max(spans)[0] <= 10_000


def test_fills_come_twice_and_nothing_else_does() -> None:
    faulty = plan(fills_duplicated=Decimal(1), duplicate_delay_ms=5)
    came = leaving(faulty, [event(1), event(2, fill=False), event(3)], 100)
    assert Counter(came) == {1: 2, 2: 1, 3: 2}
    assert list(dict.fromkeys(came)) == [1, 2, 3]


def test_a_share_of_the_fills_comes_twice() -> None:
    came = Counter(leaving(plan(fills_duplicated=Decimal("0.2")), [event(number) for number in range(2000)], 4000))
    assert len(came) == 2000
    assert 320 <= sum(number == 2 for number in came.values()) <= 480


def test_late_events_keep_their_order_unless_they_shall_not() -> None:
    events = [event(number) for number in range(300)]
    slow = {"events_delayed": Decimal("0.3"), "event_delay_ms": 40}
    assert leaving(plan(**slow), events, 1000) == list(range(300))
    mixed = leaving(plan(**slow, events_reordered=True), events, 1000)
    assert mixed != list(range(300))
    assert sorted(mixed) == list(range(300))


def test_a_share_of_the_events_never_comes() -> None:
    came = leaving(plan(events_dropped=Decimal("0.1")), [event(number) for number in range(2000)], 2100)
    assert came == sorted(set(came))
    assert 1740 <= len(came) <= 1860


def test_mishaps_come_every_so_often() -> None:
    faulty = plan(private_cut_s=Decimal(10), listen_keys_expire_s=Decimal("2.5"))
    assert faulty.due(2499) == []
    assert faulty.due(2500) == [InjectedFault.EXPIRE_LISTEN_KEYS]
    assert set(faulty.due(10_000)) == {InjectedFault.CUT_PRIVATE, InjectedFault.EXPIRE_LISTEN_KEYS}
    assert faulty.due(12_499) == []


def test_waits_between_mishaps_may_grow() -> None:
    """However slow a bot is, one of them is long enough for it."""
    growing = plan(private_cut_s=Decimal(1), listen_keys_expire_s=Decimal("2.5"), interval_growth=Decimal(2))
    told = [(now_ms, fault.value) for now_ms in range(0, 18_000, 500) for fault in growing.due(now_ms)]
    assert [at for at, what in told if what == "private_cut_s"] == [1000, 3000, 7000, 15_000]
    assert [at for at, what in told if what == "listen_keys_expire_s"] == [2500, 7500, 17_500]


def test_all_clients_are_blocked_after_so_many_requests_once() -> None:
    faulty = plan(blocked_after_requests=3)
    assert [faulty.blocks() for _ in range(6)] == [False, False, True, False, False, False]
