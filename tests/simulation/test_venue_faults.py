"""Each fault of the venue on virtual time: what a client gets to see of it, and what the venue's books say afterwards.

The plan decides and the virtual venue carries out, as the exchange server does round sockets
(`tests/exchange_server/links/test_faults.py` shows that it does). `COVERED` names the test of every setting.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest

from coldframe.config.venue import VenueFaults
from coldframe.exchange.endpoints.rest import RestAnswer
from coldframe.model.effects import LinkKind
from coldframe.wire.rest import outcome_class
from tests.simulation.clients import Clients
from tests.simulation.venue import REST_TIMEOUT_MS, as_answer

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000.0"}
ALWAYS, NEVER = Decimal(1), Decimal(0)


def hostile(**faults: Any) -> Clients:
    return Clients(faults=VenueFaults(**faults))


def doubtful(*answers: str, accepted: bool = True, **more: Any) -> Clients:
    share = ALWAYS if accepted else NEVER
    return hostile(orders_doubtful=ALWAYS, doubtful_answers=list(answers), doubtful_accepted=share, **more)


def named(name: str) -> dict[str, Any]:
    return ORDER | {"newClientOrderId": name}


def place_by_rest(clients: Clients, name: str = "rest") -> RestAnswer | None:
    return clients.raw("POST", "/fapi/v1/order", **named(name))


def take(clients: Clients) -> None:
    """Takes a little of the book."""
    assert clients.rest("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")["orderId"]


# -- answers of unknown outcome -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize(("answer", "status", "code"), [("-1007", 408, -1007), ("-1006", 400, -1006), ("503", 503, 0)])
def test_an_answer_that_leaves_the_outcome_open(answer: str, status: int, code: int, accepted: bool) -> None:
    clients = doubtful(answer, accepted=accepted)
    said = clients.trade(clients.session(), "order.place", **named("ws"))
    assert (said["status"], said["error"]["code"]) == (status, code)
    over_rest = place_by_rest(clients)
    assert over_rest is not None
    assert (over_rest.status, msgspec.json.decode(over_rest.body)["code"]) == (status, code)
    assert clients.open_names() == (["ws", "rest"] if accepted else [])


@pytest.mark.parametrize("code", [-1001, -1008])
def test_an_answer_that_nothing_was_done_is_true(code: int) -> None:
    clients = doubtful(str(code))
    said = clients.trade(clients.session(), "order.place", **named("ws"))
    assert (said["status"], said["error"]["code"]) == (503, code)
    assert clients.open_names() == []


FORMS = {"json": "application/json", "bare": None, "text": "text/plain"}
TEXTS = {
    "503": (503, "Unknown error, please check your request or try again later."),
    "503-unavailable": (503, "Service Unavailable."),
    "-1001": (503, "Internal error; unable to process your request. Please try again."),
    "-1007": (408, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("answer", TEXTS)
def test_injected_errors_come_in_each_form(form: str, answer: str) -> None:
    clients = doubtful(answer, accepted=False, error_bodies=[form])
    said = place_by_rest(clients)
    assert said is not None
    status, text = TEXTS[answer]
    assert (said.status, dict(said.headers).get("content-type")) == (status, FORMS[form])
    assert (said.body.decode() if form == "text" else msgspec.json.decode(said.body)["msg"]) == text
    found = as_answer(said)
    assert found.fault is not None
    assert found.fault.msg == text
    assert outcome_class(found.status, found.fault).definite is (answer in ("503-unavailable", "-1001"))
    assert clients.open_names() == []


@pytest.mark.parametrize("answer", ["503", "-1007", "-1006"])
def test_a_cancel_that_is_repeated_does_no_harm(answer: str) -> None:
    """The exchange's own clients repeat a DELETE up to four times on a 503: the order ends once, and nothing else does."""
    clients = doubtful(answer, doubtful_calls=["cancel"])
    line, ear = clients.session(), clients.user_stream()
    for name in ("one", "two"):
        assert clients.trade(line, "order.place", **named(name))["status"] == 200
    for _ in range(5):
        said = clients.raw("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="one")
        assert said is not None
        assert said.status >= 400
    assert clients.open_names() == ["two"]
    clients.rest("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    ended = [body["o"] for _, body in ear.heard if body["e"] == "ORDER_TRADE_UPDATE" and body["o"]["x"] != "NEW"]
    assert [(order["c"], order["x"]) for order in ended] == [("one", "CANCELED"), ("two", "CANCELED")]


def test_doubtful_cancels_and_amendments_may_be_carried_out() -> None:
    clients = doubtful("-1007", doubtful_calls=["modify", "cancel"])
    line = clients.session()
    assert clients.trade(line, "order.place", **named("one"))["status"] == 200
    amended = {"symbol": "BTCUSDT", "side": "BUY", "origClientOrderId": "one", "quantity": "0.020", "price": "59000.0"}
    assert clients.trade(line, "order.modify", **amended)["error"]["code"] == -1007
    assert [row["origQty"] for row in clients.rest("GET", "/fapi/v1/openOrders")] == ["0.020"]
    assert clients.trade(line, "order.cancel", symbol="BTCUSDT", origClientOrderId="one")["error"]["code"] == -1007
    assert clients.open_names() == []


@pytest.mark.parametrize("accepted", [True, False])
def test_no_answer_at_all(accepted: bool) -> None:
    clients = doubtful("silence", accepted=accepted)
    line = clients.session()
    clients.send(line, "order.place", **named("ws"))
    began_ms, heard = clients.now_ms, len(line.heard)
    assert place_by_rest(clients) is None
    assert clients.now_ms - began_ms == REST_TIMEOUT_MS
    assert (len(line.heard), line.gone) == (heard, None)
    assert clients.open_names() == (["ws", "rest"] if accepted else [])


@pytest.mark.parametrize("accepted", [True, False])
def test_a_cut_instead_of_an_answer(accepted: bool) -> None:
    clients = doubtful("cut", accepted=accepted)
    line = clients.session()
    clients.send(line, "order.place", **named("ws"))
    clients.until(lambda: line.gone is not None, 0)
    began_ms = clients.now_ms
    assert place_by_rest(clients) is None
    assert clients.now_ms == began_ms, "at once: the client need not wait"
    assert clients.open_names() == (["ws", "rest"] if accepted else [])


# -- delays ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "there"), [("late-answer", ["one"]), ("late-request", [])])
def test_an_answer_is_late_or_the_request_is(kind: str, there: list[str]) -> None:
    clients = doubtful(kind, late_ms=400)
    line = clients.session()
    heard = len(line.heard)
    clients.send(line, "order.place", **named("one"))
    clients.run(399)
    assert (clients.open_names(), len(line.heard)) == (there, heard)
    clients.run(1)
    assert line.heard[heard][1]["status"] == 200
    assert clients.open_names() == ["one"]


def test_latency_holds_up_every_request() -> None:
    clients = hostile(latency_ms=150)
    line = clients.connect(LinkKind.API)
    assert line is not None
    for ask in (
        lambda: clients.rest("GET", "/fapi/v1/time"),
        lambda: clients.log_on(line),
        lambda: clients.open_names(),
    ):
        began_ms = clients.now_ms
        ask()
        assert clients.now_ms - began_ms == 150


def test_a_request_that_outlives_its_window_is_refused() -> None:
    clients = doubtful("late-request", late_ms=400)
    assert clients.trade(clients.session(), "order.place", **named("one"), recvWindow=200)["error"]["code"] == -1021
    assert clients.open_names() == []


def test_answers_come_after_reports_and_one_another() -> None:
    clients = hostile(answers_delayed=ALWAYS, answer_delay_ms=300)
    ear, line = clients.user_stream(), clients.session()
    heard = len(line.heard)
    ids = [clients.send(line, "order.place", **named(f"n{number}")) for number in range(8)]
    clients.run(50)
    assert [body["o"]["c"] for _, body in ear.heard] == [f"n{number}" for number in range(8)]
    clients.run(250)
    answered = [body["id"] for _, body in line.heard[heard:]]
    assert sorted(answered) == ids
    assert answered != ids


def test_the_clock_of_the_venue_is_ahead_or_behind() -> None:
    for skew_ms in (70_000, -70_000):
        clients = hostile(clock_skew_ms=skew_ms)
        assert clients.rest("GET", "/fapi/v1/time")["serverTime"] == clients.now_ms + skew_ms


# -- private events -------------------------------------------------------------------------------------------------------


def test_reports_of_fills_come_twice() -> None:
    clients = hostile(fills_duplicated=ALWAYS, duplicate_delay_ms=100)
    ear = clients.user_stream()
    take(clients)
    clients.run(150)
    events = Counter((body["e"], body.get("o", {}).get("x")) for _, body in ear.heard)
    fills = len(clients.rest("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))
    assert fills >= 1
    assert events[("TRADE_LITE", None)] == events[("ORDER_TRADE_UPDATE", "TRADE")] == 2 * fills
    assert events[("ORDER_TRADE_UPDATE", "NEW")] == 1


@pytest.mark.parametrize("reordered", [False, True])
def test_private_events_come_late(reordered: bool) -> None:
    """In their order, unless late ones may be overtaken."""
    clients = hostile(events_delayed=Decimal("0.5"), event_delay_ms=900, events_reordered=reordered)
    ear = clients.user_stream()
    for number in range(30):
        clients.rest("POST", "/fapi/v1/order", **named(f"n{number:02d}"))
    clients.run(950)
    names = [body["o"]["c"] for _, body in ear.heard]
    assert sorted(names) == [f"n{number:02d}" for number in range(30)]
    assert (names == sorted(names)) is not reordered
    assert ear.heard[-1][0] > 300


def test_private_events_never_come() -> None:
    clients = hostile(events_dropped=ALWAYS)
    ear = clients.user_stream()
    take(clients)
    clients.run(5_000)
    assert ear.heard == []


# -- cuts -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("which", ["private", "market", "api"])
def test_connections_of_one_kind_are_cut_and_no_others(which: str, closes: bool) -> None:
    clients = hostile(**{f"{which}_cut_s": Decimal("0.6")}, cut_with_close=closes)
    lines = {"private": clients.user_stream(), "market": clients.market_stream("btcusdt@depth@100ms"), "api": clients.session()}
    clients.run(590)
    assert [line.gone for line in lines.values()] == [None] * 3
    clients.run(60)
    assert {name for name, line in lines.items() if line.gone} == {which}
    assert ("1001" in str(lines[which].gone)) is closes
    assert lines["market"].heard


def test_cuts_come_again_and_more_and_more_seldom() -> None:
    clients = hostile(market_cut_s=Decimal(1), interval_growth=Decimal(2))
    cut_after_s = []
    began_ms = clients.now_ms
    for _ in range(4):
        line = clients.market_stream("btcusdt@depth@100ms")
        clients.until(lambda line=line: line.gone is not None)  # type: ignore[misc]
        cut_after_s.append((clients.now_ms - began_ms) // 1000)
        began_ms = clients.now_ms
    assert cut_after_s == [1, 2, 4, 8]


def test_a_connection_is_cut_after_a_number_of_bytes() -> None:
    """An order either reached the books or did not; no answer tells which, whatever byte was the last."""
    reached = []
    for after_bytes in range(100, 1000, 45):
        clients = hostile(api_cut_after_bytes=after_bytes)
        line = clients.connect(LinkKind.API)
        assert line is not None
        key = clients.venue.signer().api_key.reveal()
        for number in range(4):
            clients.send(line, "order.place", **named(f"n{number}"), apiKey=key)
        assert line.gone is not None
        reached.append(len(line.heard))
    assert reached == sorted(reached)
    assert {0, 1, 2} <= set(reached)


@pytest.mark.parametrize("silently", [False, True])
def test_listen_keys_expire_before_their_time(silently: bool) -> None:
    clients = hostile(listen_keys_expire_s=Decimal("0.5"), listen_keys_expire_silently=silently)
    ear = clients.user_stream()
    clients.run(600)
    assert ear.events() == ([] if silently else ["listenKeyExpired"])
    assert clients.rest("PUT", "/fapi/v1/listenKey")["code"] == -1125
    heard = len(ear.heard)
    take(clients)
    clients.run(200)
    assert (len(ear.heard), ear.gone) == (heard, None), "the link of a dead key stays open and silent"


def test_sessions_are_revoked_and_can_log_on_again() -> None:
    clients = hostile(sessions_revoked_s=Decimal("0.3"))
    line = clients.session()
    clients.run(350)
    said = clients.trade(line, "order.place", **named("one"))
    assert (said["id"], said["status"], said["error"]["code"]) == (None, 401, -2015)
    assert clients.log_on(line)["status"] == 200


# -- what is not to be seen -----------------------------------------------------------------------------------------------


def sees(clients: Clients, session: Any) -> tuple[bool, bool]:
    """Whether a query and the list of open orders find the order `one`."""
    said = clients.trade(session, "order.status", symbol="BTCUSDT", origClientOrderId="one")
    over_rest = clients.rest("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="one")
    found = said["status"] == 200
    assert ("code" not in over_rest) is found
    assert found or said["error"]["code"] == over_rest["code"] == -2013
    return found, clients.open_names() == ["one"]


def test_queries_and_lists_forget_new_orders_for_a_while() -> None:
    clients = hostile(orders_forgotten=ALWAYS, forgotten_by_query_s=Decimal("0.5"), forgotten_by_list_s=Decimal("0.9"))
    line = clients.session()
    clients.trade(line, "order.place", **named("one"))
    assert sees(clients, line) == (False, False)
    clients.run(600)
    assert sees(clients, line) == (True, False)
    clients.run(400)
    assert sees(clients, line) == (True, True)


@pytest.mark.parametrize(
    ("where", "hidden"), [(["query"], (False, True)), (["list"], (True, False)), (["query", "list"], (False, False))]
)
def test_orders_that_stand_are_hidden_for_a_while(where: list[str], hidden: tuple[bool, bool]) -> None:
    clients = hostile(orders_hidden=ALWAYS, hidden_after_s=Decimal(2), hidden_for_s=["3"], hidden_from=where)
    line = clients.session()
    clients.trade(line, "order.place", **named("one"))
    seen = []
    for _ in range(60):
        seen.append(sees(clients, line))
        clients.run(100)
    changes = [now for before, now in zip([None, *seen], seen, strict=False) if now != before]
    assert changes in ([(True, True), hidden, (True, True)], [hidden, (True, True)])
    assert 29 <= seen.count(hidden) <= 31


def test_checks_of_close_position_orders_lag() -> None:
    """So long after a fill the exchange still says that there is no position to close."""
    clients = hostile(close_position_lag_ms=700)
    take(clients)
    close = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "50000.0"}
    assert clients.rest("POST", "/fapi/v1/algoOrder", **close, closePosition="true")["code"] == -4509
    clients.run(701)
    assert clients.rest("POST", "/fapi/v1/algoOrder", **close, closePosition="true")["algoId"]


# -- blocks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ban", "status"), [(False, 429), (True, 418)])
def test_every_client_is_blocked_after_a_number_of_requests(ban: bool, status: int) -> None:
    clients = hostile(blocked_after_requests=4, blocked_is_ban=ban, blocked_for_s=1)
    line = clients.session()
    assert clients.trade(line, "order.place", **named("one"))["status"] == 200
    assert clients.open_names() == ["one"]
    said = clients.trade(line, "order.place", **named("two"))
    assert (said["status"], said["error"]["code"]) == (status, -1003)
    blocked = clients.raw("GET", "/fapi/v1/time")
    assert blocked is not None
    assert (blocked.status, dict(blocked.headers)["retry-after"]) == (status, "1")
    assert ("banned until" in msgspec.json.decode(blocked.body)["msg"]) is ban
    assert clients.connect(LinkKind.API) is None
    clients.run(1_000)
    assert clients.open_names() == ["one"]
    assert clients.connect(LinkKind.API) is not None


def test_a_venue_begins_with_a_ban() -> None:
    clients = hostile(banned_for_s=20)
    answer = clients.raw("GET", "/fapi/v1/time")
    assert answer is not None
    assert (answer.status, dict(answer.headers)["retry-after"]) == (418, "20")
    assert [clients.connect(kind, "/private/ws/key") for kind in LinkKind] == [None, None, None]
    clients.run(20_000)
    assert clients.rest("GET", "/fapi/v1/time")["serverTime"] == clients.now_ms


#: Which test shows each setting at work.
COVERED = {
    "clock_skew_ms": test_the_clock_of_the_venue_is_ahead_or_behind,
    "banned_for_s": test_a_venue_begins_with_a_ban,
    "orders_doubtful": test_an_answer_that_leaves_the_outcome_open,
    "doubtful_calls": test_doubtful_cancels_and_amendments_may_be_carried_out,
    "doubtful_answers": test_an_answer_that_leaves_the_outcome_open,
    "error_bodies": test_injected_errors_come_in_each_form,
    "doubtful_accepted": test_no_answer_at_all,
    "late_ms": test_an_answer_is_late_or_the_request_is,
    "latency_ms": test_latency_holds_up_every_request,
    "answers_delayed": test_answers_come_after_reports_and_one_another,
    "answer_delay_ms": test_answers_come_after_reports_and_one_another,
    "fills_duplicated": test_reports_of_fills_come_twice,
    "duplicate_delay_ms": test_reports_of_fills_come_twice,
    "events_delayed": test_private_events_come_late,
    "event_delay_ms": test_private_events_come_late,
    "events_reordered": test_private_events_come_late,
    "events_dropped": test_private_events_never_come,
    "private_cut_s": test_connections_of_one_kind_are_cut_and_no_others,
    "market_cut_s": test_connections_of_one_kind_are_cut_and_no_others,
    "api_cut_s": test_connections_of_one_kind_are_cut_and_no_others,
    "cut_with_close": test_connections_of_one_kind_are_cut_and_no_others,
    "interval_growth": test_cuts_come_again_and_more_and_more_seldom,
    "api_cut_after_bytes": test_a_connection_is_cut_after_a_number_of_bytes,
    "sessions_revoked_s": test_sessions_are_revoked_and_can_log_on_again,
    "listen_keys_expire_s": test_listen_keys_expire_before_their_time,
    "listen_keys_expire_silently": test_listen_keys_expire_before_their_time,
    "orders_forgotten": test_queries_and_lists_forget_new_orders_for_a_while,
    "forgotten_by_query_s": test_queries_and_lists_forget_new_orders_for_a_while,
    "forgotten_by_list_s": test_queries_and_lists_forget_new_orders_for_a_while,
    "close_position_lag_ms": test_checks_of_close_position_orders_lag,
    "orders_hidden": test_orders_that_stand_are_hidden_for_a_while,
    "hidden_after_s": test_orders_that_stand_are_hidden_for_a_while,
    "hidden_for_s": test_orders_that_stand_are_hidden_for_a_while,
    "hidden_from": test_orders_that_stand_are_hidden_for_a_while,
    "blocked_after_requests": test_every_client_is_blocked_after_a_number_of_requests,
    "blocked_is_ban": test_every_client_is_blocked_after_a_number_of_requests,
    "blocked_for_s": test_every_client_is_blocked_after_a_number_of_requests,
}


def test_every_setting_of_faults_works_on_virtual_time() -> None:
    assert set(COVERED) == {field.name for field in attrs.fields(VenueFaults)}
