"""Funding: shared out exactly, once, among those who held the position."""

from __future__ import annotations

import json
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.asset_values import AssetValues
from coldframe.core.state.funding_split import Payment, Payments, shares
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.positions import StrategyPositions
from coldframe.enums import Side
from coldframe.model.effects import LinkKind
from coldframe.model.journal import RowKind
from coldframe.units import NS_PER_MS
from tests.core.addingup import profit_of
from tests.core.looking import view_of
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

MONEY = st.decimals(-1_000_000, 1_000_000, places=8)


def two(*, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")) -> tuple[Scripted, StrategyPositions, StrategyPositions]:
    """Strategy one is long 2, strategy two short 0.5."""
    mine, other = Actor("one", symbols=symbols), Actor("two", symbols=symbols)
    made = Scripted(mine, other, symbols=symbols).ready()
    made.want(mine, place(quantity="2", price="99"))
    made.want(other, place(Side.SELL, "0.5", "101"))
    for order in list(made.engine.orders.live):
        made.fill(order.client_order_id, str(order.quantity))
    accounts = [made.engine.runtimes.get(name).account.holdings for name in ("one", "two")]
    return made, accounts[0], accounts[1]


def pay(made: Scripted, amount: str, *, symbol: str | None = "BTCUSDT", at: int = 5, asset: str = "USDT") -> None:
    change = {"m": "FUNDING_FEE", "B": [{"a": asset, "wb": "99.5", "cw": "99.5", "bc": amount}], "P": []}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": at, "T": at, "a": change | ({"S": symbol} if symbol else {})}).encode())
    made.beat()


def test_o23_funding_is_split_by_the_signed_positions() -> None:
    made, mine, other = two()
    pay(made, "-1.5")
    assert (mine.funding, other.funding) == ({"USDT": D(-2)}, {"USDT": D("0.5")})
    assert made.engine.state.external.account.funding == {}
    assert view_of(made.engine, "one").funding() == -2
    assert "funding of BTCUSDT: -1.5 USDT (one -2" in made.said()


def test_funding_that_is_told_twice_is_booked_once() -> None:
    made, mine, _ = two()
    for _ in range(3):
        pay(made, "-1.5")
    pay(made, "-1.5", at=6)
    assert mine.funding == {"USDT": D(-4)}


def test_funding_without_a_symbol_is_shared_by_notional() -> None:
    made, mine, other = two()
    pay(made, "-1", symbol=None)
    assert (mine.funding["USDT"], other.funding["USDT"]) == (D("-0.8"), D("-0.2"))


def test_funding_of_a_position_without_owner_is_external() -> None:
    made, mine, other = two()
    pay(made, "0.7", symbol="ETHUSDT", asset="BNB")
    assert mine.funding == other.funding == {}
    assert made.engine.state.external.account.funding == {"BNB": D("0.7")}


def test_profit_counts_funding_and_fees_at_their_assets_value() -> None:
    account = StrategyPositions()
    account.fund(D("-2"), "USDT")
    account.pay(D("0.5"), "USDT")
    account.pay(D("0.01"), "BNB")
    assert profit_of(account, AssetValues({})) == D("-2.5")
    assert profit_of(account, AssetValues({"BNBUSDT": D(600)})) == D("-8.5")
    assert account.fees == {"USDT": D("0.5"), "BNB": D("0.01")}


INCOME = "/fapi/v1/income"


def history(made: Scripted, *rows: tuple[str, int], special: bool = False) -> None:
    """What the venue has paid, with the times of it: as funding, or as special funding."""
    honest = made.exchange.rest
    kinds = ("FUNDING_FEE", "SPECIAL_FUNDING_FEE")
    told = [
        {
            "symbol": "BTCUSDT",
            "incomeType": kinds[special],
            "income": amount,
            "asset": "USDT",
            "info": "",
            "time": at_ms,
            "tranId": number,
            "tradeId": "",
        }
        for number, (amount, at_ms) in enumerate(rows)
    ]
    made.exchange.rest = lambda path, params: _page(told, params) if path == INCOME else honest(path, params)  # type: ignore[method-assign]


def _page(rows: list[dict], params: dict) -> list[dict]:
    wanted = [row for row in rows if row["incomeType"] == params["incomeType"] and row["time"] >= params["startTime"]]
    return sorted(wanted, key=lambda row: row["time"])[: params["limit"]]


def test_o23_funding_paid_during_an_outage_is_booked_once() -> None:
    made, mine, other = two()
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
    assert (mine.funding, other.funding) == ({"USDT": D(-6)}, {"USDT": D("1.5")})
    pay(made, "-3", at=paid_ms + 300)
    made.lose(LinkKind.PRIVATE)
    made.run(120_000)
    assert mine.funding == {"USDT": D(-6)}
    assert len(made.called(INCOME)) == 4


@pytest.mark.parametrize("fault", ["refused", "unreadable"])
def test_a_question_for_missed_funding_that_fails_is_asked_again(fault: str) -> None:
    made, mine, _ = two()
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
    assert mine.funding == {}
    made.exchange.refuses.clear()
    made.run(60_000)
    assert mine.funding == {"USDT": D(-4)}
    assert len(made.called(INCOME)) == (4 if fault == "refused" else 3)


def test_history_is_requested_at_most_once_a_minute() -> None:
    made, _, _ = two()
    for _ in range(18):
        made.lose(LinkKind.PRIVATE)
        made.run(10_000)
    assert 6 <= len(made.called(INCOME)) <= 8


def interrupted(*, special: bool = False, rows: int = 1, at_once: bool = False) -> tuple[Scripted, StrategyPositions]:
    """The user stream was away while so many payments of -3 were made, each at its own millisecond or all at one."""
    made, mine, _ = two()
    made.lose(LinkKind.PRIVATE)
    history(made, *(("-3", made.venue_ms + 1 + (0 if at_once else number)) for number in range(rows)), special=special)
    made.run(90_000)
    return made, mine


@pytest.mark.parametrize("special", [False, True])
def test_special_funding_is_made_up_for_like_any_other(special: bool) -> None:
    made, mine = interrupted(special=special)
    assert mine.funding == {"USDT": D(-4)}
    assert {call.params["incomeType"] for call in made.called(INCOME)} == {"FUNDING_FEE", "SPECIAL_FUNDING_FEE"}


@pytest.mark.parametrize("rows", [999, 1_000, 1_001, 2_500])
def test_a_full_page_of_the_history_is_followed_by_the_next(rows: int) -> None:
    _, mine = interrupted(rows=rows)
    assert mine.funding == {"USDT": D(-4) * rows}


def test_more_payments_of_one_millisecond_than_a_page_holds_end() -> None:
    made, mine = interrupted(rows=1_500, at_once=True)
    assert mine.funding == {"USDT": D(-4_000)}
    assert len(made.called(INCOME)) < 6


@pytest.mark.parametrize(
    ("reason", "asked"), [("ADJUSTMENT", True), ("DIVIDEND", True), ("DEPOSIT", False), ("TRANSFER_OUT", True)]
)
def test_unexplained_balance_change_is_looked_up_in_the_history(reason: str, asked: bool) -> None:
    made, mine, _ = two()
    history(made, ("-3", made.venue_ms), special=True)
    change = {"m": reason, "B": [{"a": "USDT", "wb": "9", "cw": "9", "bc": "-3"}], "P": []}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": 5, "T": made.venue_ms, "a": change}).encode())
    made.beat()
    made.run(2_000)
    assert (mine.funding == {"USDT": D(-4)}) is asked


def test_reported_special_funding_is_booked_once_despite_history() -> None:
    made, mine, _ = two()
    at_ms = made.venue_ms
    change = {"m": "SPECIAL_FUNDING_FEE", "B": [{"a": "USDT", "wb": "9", "cw": "9", "bc": "-3"}], "P": [], "S": "BTCUSDT"}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": at_ms, "T": at_ms, "a": change}).encode())
    made.beat()
    assert mine.funding == {"USDT": D(-4)}
    history(made, ("-3", at_ms + 500), special=True)
    made.lose(LinkKind.PRIVATE)
    made.run(90_000)
    assert mine.funding == {"USDT": D(-4)}


# -- over a restart -----------------------------------------------------------------------------------------------------


def restarted(made: Scripted) -> tuple[Scripted, StrategyPositions]:
    actors = [Actor("one", symbols=made.symbols), Actor("two", symbols=made.symbols)]
    again = made.restarted(*actors, past=fold(made.rows))
    again.run(3_000)
    return again, again.engine.runtimes.get("one").account.holdings


def test_funding_paid_while_the_bot_was_off_is_booked() -> None:
    made, _, _ = two()
    pay(made, "-1.5", at=made.venue_ms)
    told_ms = made.venue_ms
    made.now_ns += 9 * 3_600_000 * NS_PER_MS
    history(made, ("-1.5", told_ms), ("-3", told_ms + 8 * 3_600_000))
    again, account = restarted(made)
    assert account.funding == {"USDT": D(-6)}
    again, account = restarted(again_with(made, again))
    assert account.funding == {"USDT": D(-6)}


def again_with(made: Scripted, again: Scripted) -> Scripted:
    again.rows[:0] = made.rows
    return again


def test_a_bot_that_held_nothing_asks_for_nothing() -> None:
    made = Scripted(Actor()).ready()
    again = made.restarted(Actor(), past=fold(made.rows))
    again.run(3_000)
    assert again.called(INCOME) == []


def test_a_checkpoint_keeps_the_payments_that_are_booked() -> None:
    made, _, _ = two()
    pay(made, "-1.5", at=made.venue_ms)
    again, _ = restarted(made)
    (mark,) = [row for row in again.rows if row.kind == RowKind.CHECKPOINT]
    assert [(payment.symbol, payment.amount, payment.told) for payment in fold([mark]).payments] == [("BTCUSDT", D("-1.5"), True)]
    assert len(fold([*made.rows, *again.rows]).payments) == 1


SAME_AMOUNTS = st.lists(st.tuples(st.sampled_from([D(-3), D(2)]), st.integers(0, 2), st.integers(0, 2)), max_size=8)


@given(paid=SAME_AMOUNTS, order=st.randoms(use_true_random=False))
def test_each_payment_is_booked_once_however_often_it_is_seen(paid: list, order: object) -> None:
    """Payments of one amount lie further apart than the two times of one payment can."""
    payments, booked = Payments(), 0
    words = [("told", number) for number, (_, told, _) in enumerate(paid) for _ in range(min(told, 1))]
    words += [("listed", number) for number, (_, _, listed) in enumerate(paid) for _ in range(listed)]
    order.shuffle(words)  # type: ignore[attr-defined]
    for word, number in words:
        payment = Payment("BTCUSDT", "USDT", paid[number][0], number * 200_000)
        if word == "told":
            booked += payments.reported(attrs.evolve(payment, told=True))
        else:
            booked += payments.listed(attrs.evolve(payment, at_ms=payment.at_ms + 40_000, number=str(number)))
    assert booked == sum(1 for _, told, listed in paid if told or listed)


def test_two_payments_of_one_amount_in_one_minute_are_two() -> None:
    payments = Payments()
    for at_ms in (0, 1):
        assert payments.reported(Payment("BTCUSDT", "USDT", D(1), at_ms, told=True))
    assert not payments.listed(Payment("BTCUSDT", "USDT", D(1), 5, "a"))
    assert not payments.listed(Payment("BTCUSDT", "USDT", D(1), 5, "b"))
    assert payments.listed(Payment("BTCUSDT", "USDT", D(1), 5, "c"))


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


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("BTCUSDT", "BTCUSDT", True),
        ("BTCUSDT", "ETHUSDT", False),
        (None, "BTCUSDT", True),
        ("BTCUSDT", None, True),
        (None, None, True),
    ],
)
def test_a_report_without_a_symbol_may_be_of_any(first: str | None, second: str | None, same: bool) -> None:
    reported, listed = Payment(first, "USDT", D("-0.5"), 1_000), Payment(second, "USDT", D("-0.5"), 1_000, "17")
    assert reported.same(listed) is same
    assert not reported.same(attrs.evolve(listed, amount=D("0.5")))
    assert not reported.same(attrs.evolve(listed, asset="BNB"))
