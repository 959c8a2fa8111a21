"""Funding: shared out exactly, once, among those who held the position."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.funding import shares
from coldframe.core.positions import SubAccount
from coldframe.core.prices import Prices
from coldframe.model.effects import LinkKind
from coldframe.terms import Side
from tests.core.looking import view_of
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

MONEY = st.decimals(-1_000_000, 1_000_000, places=8)


def two(*, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")) -> tuple[Scripted, SubAccount, SubAccount]:
    """Strategy one is long 2, strategy two short 0.5."""
    one, other = Actor("one", symbols=symbols), Actor("two", symbols=symbols)
    made = Scripted(one, other, symbols=symbols).ready()
    made.want(one, place(quantity="2", price="99"))
    made.want(other, place(Side.SELL, "0.5", "101"))
    for order in list(made.engine.orders.live):
        made.fill(order.client_order_id, str(order.quantity))
    accounts = [made.engine.slots.get(name).trader.account for name in ("one", "two")]
    return made, accounts[0], accounts[1]


def pay(made: Scripted, amount: str, *, symbol: str | None = "BTCUSDT", at: int = 5, asset: str = "USDT") -> None:
    change = {"m": "FUNDING_FEE", "B": [{"a": asset, "wb": "99.5", "cw": "99.5", "bc": amount}], "P": []}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": at, "T": at, "a": change | ({"S": symbol} if symbol else {})}).encode())
    made.beat()


def test_o23_funding_of_a_symbol_goes_to_its_owners_by_their_signed_positions() -> None:
    made, one, other = two()
    pay(made, "-1.5")
    assert (one.funding, other.funding) == ({"USDT": D(-2)}, {"USDT": D("0.5")})
    assert made.engine.evidence.external.funding == {}
    assert view_of(made.engine, "one").funding() == -2
    assert "funding of BTCUSDT: -1.5 USDT (one -2" in made.said()


def test_funding_that_is_told_twice_is_booked_once() -> None:
    made, one, _ = two()
    for _ in range(3):
        pay(made, "-1.5")
    pay(made, "-1.5", at=6)
    assert one.funding == {"USDT": D(-4)}


def test_funding_without_a_symbol_is_shared_by_notional() -> None:
    made, one, other = two()
    pay(made, "-1", symbol=None)
    assert (one.funding["USDT"], other.funding["USDT"]) == (D("-0.8"), D("-0.2"))


def test_funding_of_a_position_that_nobody_has_is_external() -> None:
    made, one, other = two()
    pay(made, "0.7", symbol="ETHUSDT", asset="BNB")
    assert one.funding == other.funding == {}
    assert made.engine.evidence.external.funding == {"BNB": D("0.7")}


def test_funding_and_fees_count_into_profit_with_what_their_asset_is_worth() -> None:
    account = SubAccount()
    account.fund(D("-2"), "USDT")
    account.pay(D("0.5"), "USDT")
    account.pay(D("0.01"), "BNB")
    assert account.profit(Prices({})) == D("-2.5")
    assert account.profit(Prices({"BNBUSDT": D(600)})) == D("-8.5")
    assert account.fees == {"USDT": D("0.5"), "BNB": D("0.01")}


INCOME = "/fapi/v1/income"


def history(made: Scripted, *rows: tuple[str, int]) -> None:
    """What the venue has paid, with the times of it."""
    honest = made.exchange.rest
    told = [
        {
            "symbol": "BTCUSDT",
            "incomeType": "FUNDING_FEE",
            "income": amount,
            "asset": "USDT",
            "info": "",
            "time": at_ms,
            "tranId": number,
            "tradeId": "",
        }
        for number, (amount, at_ms) in enumerate(rows)
    ]
    made.exchange.rest = lambda path, params: told if path == INCOME else honest(path, params)  # type: ignore[method-assign]


def test_o23_funding_that_was_paid_while_nobody_listened_is_made_up_for_once() -> None:
    made, one, other = two()
    paid_ms = made.venue_ms + 2_000
    pay(made, "-1.5", at=made.venue_ms)
    assert made.called(INCOME) == []
    made.unopened.add(LinkKind.PRIVATE)
    made.lose(LinkKind.PRIVATE)
    made.run(5_000)
    made.unopened.clear()
    history(made, ("-1.5", made.venue_ms - 5_000), ("-3", paid_ms), ("-9", made.venue_ms - 7_200_000))
    made.lose_all()
    made.run(60_000)
    assert (one.funding, other.funding) == ({"USDT": D(-6)}, {"USDT": D("1.5")})
    pay(made, "-3", at=paid_ms + 300)
    made.lose(LinkKind.PRIVATE)
    made.run(120_000)
    assert one.funding == {"USDT": D(-6)}
    assert len(made.called(INCOME)) == 2


@pytest.mark.parametrize("fault", ["refused", "unreadable"])
def test_a_question_for_missed_funding_that_fails_is_asked_again(fault: str) -> None:
    made, one, _ = two()
    made.lose(LinkKind.PRIVATE)
    history(made, ("-3", made.venue_ms))
    if fault == "refused":
        made.exchange.refuses[INCOME] = (-1001, "no")
    else:
        answers, honest = [b"{}"], made.exchange.rest
        made.exchange.rest = lambda path, params: (  # type: ignore[method-assign]
            {"no": "list"} if path == INCOME and answers and answers.pop() else honest(path, params)
        )
    made.run(30_000)
    assert one.funding == {}
    made.exchange.refuses.clear()
    made.run(60_000)
    assert one.funding == {"USDT": D(-4)}
    assert len(made.called(INCOME)) == 2


def test_after_many_interruptions_the_history_is_asked_for_once_a_minute() -> None:
    made, _, _ = two()
    for _ in range(18):
        made.lose(LinkKind.PRIVATE)
        made.run(10_000)
    assert 3 <= len(made.called(INCOME)) <= 4


@given(MONEY, st.dictionaries(st.sampled_from(["", "a", "b", "c", "d"]), st.decimals(-10_000, 10_000, places=3)))
def test_the_shares_are_the_payment(amount: Decimal, weights: dict[str, Decimal]) -> None:
    given_out = shares(amount, weights)
    if not sum(weights.values()):
        assert given_out == {}
        return
    assert sum(given_out.values()) == amount
    assert set(given_out) == {owner for owner, weight in weights.items() if weight}
    total = sum(weights.values())
    for owner, part in given_out.items():
        assert abs(part - amount * weights[owner] / total) < D("1e-12") * (1 + abs(amount * weights[owner] / total))


@pytest.mark.parametrize("amount", ["-0.00000001", "0.1", "123456789.12345678"])
def test_thirds_leave_nothing_over(amount: str) -> None:
    assert sum(shares(D(amount), {"a": D(1), "b": D(1), "c": D(1)}).values()) == D(amount)
