"""Parameters go out and come back unchanged; what is missing or malformed gets the code that the venue answers."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.enums import MarginType, OpenEnum, OrderType, PositionSide, Side, TimeInForce
from coldframe.wire import requests as ask
from coldframe.wire.codes import CODES
from coldframe.wire.requests import Amount, ClientId, Fault, Request, parameters, read, text_of
from tests.wire.shapes import issubclass_, options

KINDS: list[type[Request]] = [kind for kind in vars(ask).values() if issubclass_(kind, Request) and kind is not Request]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "42088.0", "timeInForce": "GTC"}
AMOUNT_RANGE = "legal range is '^([0-9]{1,20})(\\.[0-9]{1,20})?$'."
DIGITS = st.text("0123456789", min_size=1, max_size=20)


def values(part: Any) -> st.SearchStrategy[Any]:
    if part == Amount:
        return DIGITS | st.builds("{}.{}".format, DIGITS, DIGITS)
    if part == ClientId:
        return st.from_regex(r"[.A-Z:/a-z0-9_-]{1,36}", fullmatch=True)
    if issubclass_(part, OpenEnum):
        return st.sampled_from(list(part))
    return {str: st.text(min_size=1, max_size=12), bool: st.booleans(), int: st.integers(-(10**18), 10**18)}[part]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    kind = draw(st.sampled_from(KINDS))
    given_: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.required or draw(st.booleans()):
            given_[field.name] = draw(values(options(field.type)[0]))
    return kind(**given_)


@given(requests())
def test_what_the_bot_asks_the_venue_reads(request: Request) -> None:
    sent = parameters(request)
    assert all(type(value) in (str, int) for value in sent.values())
    assert read(type(request), sent) == request
    # as a query or a form, where everything is text
    assert read(type(request), {name: text_of(value) for name, value in sent.items()}) == request
    assert read(type(request), {**sent, "timestamp": 1, "recvWindow": 5000, "zz": "?", "empty": ""}) == request


def test_parameters_have_the_wires_own_types() -> None:
    order = ask.PlaceOrder(
        symbol="BTCUSDT",
        side=Side.SELL,
        type=OrderType.LIMIT,
        position_side=PositionSide.BOTH,
        time_in_force=TimeInForce.GTD,
        quantity="0.10",
        price="100",
        reduce_only=True,
        good_till_date=1700000000000,
    )
    assert parameters(order) == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "positionSide": "BOTH",
        "timeInForce": "GTD",
        "quantity": "0.10",
        "price": "100",
        "reduceOnly": "true",
        "goodTillDate": 1700000000000,
    }
    assert parameters(ask.SetPositionMode(dual_side_position=False)) == {"dualSidePosition": "false"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "true"), (False, "false"), (0, "0"), (5000, "5000"), ("0.10", "0.10"), ("", ""), (0.5, "0.5")],
)
def test_a_value_is_signed_in_its_json_form(value: object, text: str) -> None:
    assert text_of(value) == text


@every_kind
def test_each_required_parameter_is_asked_for_by_its_name(kind: type[Request]) -> None:
    whole = {field.encode_name: sample(options(field.type)[0]) for field in msgspec.structs.fields(kind)}
    assert isinstance(read(kind, whole), kind)
    for field in msgspec.structs.fields(kind):
        for empty in ({}, {field.encode_name: ""}, {field.encode_name: None}):
            answer = read(kind, {name: value for name, value in whole.items() if name != field.encode_name} | empty)
            if field.required:
                text = f"Mandatory parameter '{field.encode_name}' was not sent, was empty/null, or malformed."
                assert answer == Fault(-1102, text)
            else:
                assert getattr(answer, field.name) is msgspec.UNSET


def sample(part: Any) -> Any:
    if part == Amount:
        return "1.5"
    if part == ClientId:
        return "my-order"
    return next(iter(part)).value if issubclass_(part, OpenEnum) else {str: "text", bool: True, int: 5}[part]


WORD_CODES = {
    "side": (-1117, "Invalid side."),
    "type": (-1116, "Invalid orderType."),
    "timeInForce": (-1115, "Invalid timeInForce."),
    "positionSide": (-4060, "Invalid position side."),
    "priceMatch": (-5037, "Invalid price match"),
    "selfTradePreventionMode": (-5039, "Invalid self trade prevention mode"),
    "newOrderRespType": (-1136, "Invalid newOrderRespType."),
}


@pytest.mark.parametrize("name", WORD_CODES)
@pytest.mark.parametrize("word", ["FOO", "buy", "gtc", "UNKNOWN", " BUY", "0"])
def test_a_word_that_the_venue_does_not_know_has_its_own_code(name: str, word: str) -> None:
    assert read(ask.PlaceOrder, {**ORDER, name: word}) == Fault(*WORD_CODES[name])


def test_the_other_words_are_refused_too() -> None:
    algo = {"algoType": "CONDITIONAL", "symbol": "A", "side": "BUY", "type": "STOP_MARKET"}
    assert read(ask.PlaceAlgo, {**algo, "workingType": "LAST"}) == Fault(-4031, "Invalid parameter working type")
    margin = {"symbol": "A", "marginType": "CROSS"}
    assert read(ask.SetMarginType, margin) == Fault(-1130, "Data sent for parameter 'marginType' is not valid.")
    assert read(ask.SetMarginType, {**margin, "marginType": "CROSSED"}) == ask.SetMarginType(
        symbol="A", margin_type=MarginType.CROSSED
    )


NO_AMOUNT = [
    "-1",
    "+1",
    "1e5",
    "3e-06",
    "NaN",
    "Infinity",
    "1_0",
    "\u0661",
    " 1",
    "1 ",
    "1\n",
    "1.",
    ".5",
    "0x1",
    "1,0",
    "9" * 21,
    "0." + "9" * 21,
]


@pytest.mark.parametrize("amount", [*NO_AMOUNT, 1e-7, [1], {"a": 1}, True])
@pytest.mark.parametrize("name", ["price", "quantity"])
def test_an_amount_is_plain_digits(name: str, amount: object) -> None:
    assert read(ask.PlaceOrder, {**ORDER, name: amount}) == Fault(
        -1100, f"Illegal characters found in parameter '{name}'; {AMOUNT_RANGE}"
    )


@pytest.mark.parametrize("amount", ["0", "1", "0.001", "42088.0", 5, 0.5, "9" * 20, "9" * 20 + "." + "9" * 20])
def test_an_amount_may_come_as_text_or_number_and_keeps_its_text(amount: object) -> None:
    order = read(ask.PlaceOrder, {**ORDER, "price": amount})
    assert isinstance(order, ask.PlaceOrder)
    assert order.price == str(amount)


@pytest.mark.parametrize(
    "number",
    ["1.0", "1e3", "1_0", "+5", " 5", "5 ", "5\n", "\u0665", "NaN", "inf", "true", "x", "9" * 20, "9" * 5000, 1.5, 1.0, True, [1]],
)
@pytest.mark.parametrize(("kind", "name"), [(ask.OrderRef, "orderId"), (ask.DepthQuery, "limit"), (ask.Countdown, "countdownTime")])
def test_a_whole_number_is_plain_digits(kind: type[Request], name: str, number: object) -> None:
    answer = read(kind, {"symbol": "BTCUSDT", name: number})
    assert answer == Fault(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def test_a_whole_number_may_have_19_digits() -> None:
    for order_id in (8389765500000000001, "8389765500000000001"):
        assert read(ask.OrderRef, {"symbol": "A", "orderId": order_id}) == ask.OrderRef(symbol="A", order_id=8389765500000000001)


@pytest.mark.parametrize("flag", ["yes", "2", "null", "tru", " true"])
def test_a_flag_is_true_or_false(flag: str) -> None:
    answer = read(ask.PlaceOrder, {**ORDER, "reduceOnly": flag})
    assert answer == Fault(-1102, "Mandatory parameter 'reduceOnly' was not sent, was empty/null, or malformed.")


@pytest.mark.parametrize(("flag", "value"), [("true", True), ("false", False), (True, True), (False, False)])
def test_a_flag_may_come_as_text_or_json(flag: object, value: bool) -> None:
    order = read(ask.PlaceOrder, {**ORDER, "reduceOnly": flag})
    assert isinstance(order, ask.PlaceOrder)
    assert order.reduce_only is value


@pytest.mark.parametrize(("kind", "name"), [(ask.PlaceOrder, "newClientOrderId"), (ask.PlaceAlgo, "clientAlgoId")])
def test_a_client_id_has_a_legal_set_and_36_characters(kind: type[Request], name: str) -> None:
    whole = {**ORDER, "algoType": "CONDITIONAL"}
    for legal in ("a", "x" * 36, "cf.mm-btc.1abc.2", ".:/_-AZaz09"):
        assert isinstance(read(kind, {**whole, name: legal}), kind)
    for illegal in ("a b", "a\n", "\u00e9", "a#b", "a\x00", "a,b"):
        assert read(kind, {**whole, name: illegal}) == Fault(-4015, "Client order id is not valid.")
    too_long = Fault(-4015, "Client order id length should not be more than 36 chars")
    assert read(kind, {**whole, name: "x" * 37}) == too_long


@given(
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from(sorted({field.encode_name for kind in KINDS for field in msgspec.structs.fields(kind)}))
        | st.text(max_size=5),
        st.sampled_from([*ORDER.values(), "CROSSED", "5", "true", "CONDITIONAL"])
        | st.text(max_size=8)
        | st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.lists(st.integers(), max_size=2),
        max_size=10,
    ),
)
def test_any_parameters_are_a_request_or_a_fault_of_the_table(kind: type[Request], given_: dict[str, object]) -> None:
    answer = read(kind, given_)
    if isinstance(answer, Fault):
        assert answer.code in CODES
        assert "%s" not in answer.msg
    else:
        assert read(kind, parameters(answer)) == answer


def test_every_open_word_of_a_request_is_checked() -> None:
    words = {
        leaf
        for kind in KINDS
        for field in msgspec.structs.fields(kind)
        for leaf in (field.type, *get_args(field.type))
        if issubclass_(leaf, OpenEnum)
    }
    assert len(words) == 9
