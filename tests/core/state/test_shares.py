"""Whose position an execution of others changes: the rule by its examples, and the same result however late a thing is learned."""

from __future__ import annotations

import random
from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.external import External
from coldframe.core.state.holdings import Holdings
from coldframe.core.state.journal_codec import fill_body, fold
from coldframe.core.state.orders import Fill
from coldframe.core.state.positions import EXTERNAL, StrategyPositions
from coldframe.core.state.shares import REMEMBERED, Executions, execution_of, in_proportion, shared_out
from coldframe.core.state.trading_state import Suspensions
from coldframe.enums import PositionSide, Side
from coldframe.model.effects import AppendJournal
from coldframe.model.engine_events import StrategyTold
from coldframe.model.events import PositionCause, PositionChanged
from coldframe.model.journal import Row, RowKind
from tests.core.made import START_NS, SYMBOL
from tests.core.shareoracle import OTHERS, ShareOracle
from tests.core.told import D
from tests.examples import examples

KEY = (SYMBOL, PositionSide.BOTH)
LOT = D("0.001")


def numbers(**held: str) -> dict[str, Decimal]:
    """Quantities by owner; `ext` is what is external."""
    return {EXTERNAL if name == "ext" else name: D(text) for name, text in held.items()}


@pytest.mark.parametrize(
    ("signed", "held", "parts"),
    [
        # One strategy: up to zero it is the strategy's, past zero it is external, and what adds is external.
        ("-0.010", {"mm": "0.010"}, {"mm": "-0.010"}),
        ("-0.004", {"mm": "0.010"}, {"mm": "-0.004"}),
        ("-0.015", {"mm": "0.010"}, {"mm": "-0.010", "ext": "-0.005"}),
        ("0.007", {"mm": "-0.010"}, {"mm": "0.007"}),
        ("0.010", {"mm": "0.010"}, {"ext": "0.010"}),
        ("-0.010", {"mm": "0"}, {"ext": "-0.010"}),
        # What others have opened they close first.
        ("-1", {"mm": "1", "ext": "1"}, {"ext": "-1"}),
        ("-1.5", {"mm": "1", "ext": "1"}, {"ext": "-1", "mm": "-0.5"}),
        ("1", {"mm": "2", "ext": "-1"}, {"ext": "1"}),
        # What makes the account's position larger takes nothing away from any owner.
        ("-1", {"mm": "1", "ext": "-1"}, {"ext": "-1"}),
        ("-1", {"mm": "1", "ext": "-3"}, {"ext": "-1"}),
        # When the account's position is closed, no owner keeps anything.
        ("-0.5", {"mm": "2", "ext": "-1"}, {"mm": "-0.5"}),
        ("-1", {"mm": "2", "ext": "-1"}, {"mm": "-2", "ext": "1"}),
        ("-3", {"mm": "2", "ext": "-1"}, {"mm": "-2", "ext": "-1"}),
        # Several: in proportion, in lots, the rest from the largest.
        ("-1", {"a": "3", "b": "1"}, {"a": "-0.75", "b": "-0.25"}),
        ("-0.010", {"a": "0.007", "b": "0.007", "c": "0.007"}, {"a": "-0.004", "b": "-0.003", "c": "-0.003"}),
        ("-0.001", {"a": "0.002", "b": "0.003"}, {"b": "-0.001"}),
        ("-1", {"a": "2", "b": "-1"}, {"a": "-1"}),
        ("-2", {"a": "2", "b": "-1"}, {"a": "-1", "ext": "-1"}),
        ("-4", {"a": "3", "b": "1"}, {"a": "-3", "b": "-1"}),
        ("-1", {"a": "1", "b": "-1"}, {"ext": "-1"}),
    ],
)
def test_the_rule_by_its_examples(signed: str, held: dict[str, str], parts: dict[str, str]) -> None:
    assert shared_out(D(signed), numbers(**held), LOT) == numbers(**parts)


LOTS = st.integers(-30, 30).map(lambda number: number * LOT)


@given(LOTS.filter(bool), st.dictionaries(st.sampled_from(["a", "b", "c", EXTERNAL]), LOTS, max_size=4))
def test_the_rule_is_that_of_the_naive_book(signed: Decimal, held: dict[str, Decimal]) -> None:
    parts = shared_out(signed, held, LOT)
    oracle = ShareOracle(["a", "b", "c"])
    for owner, quantity in held.items():
        oracle._held[owner] = int(quantity / LOT)
    oracle.trade(OTHERS, signed)
    for owner in ("a", "b", "c", EXTERNAL):
        assert held.get(owner, D(0)) + parts.get(owner, D(0)) == oracle.held(owner)


@given(LOTS.filter(bool), st.dictionaries(st.sampled_from(["a", "b", EXTERNAL]), LOTS, max_size=3))
def test_no_position_turns_over_and_nothing_gets_lost(signed: Decimal, held: dict[str, Decimal]) -> None:
    parts = shared_out(signed, held, LOT)
    assert sum(parts.values()) == signed
    for owner, part in parts.items():
        before, after = held.get(owner, D(0)), held.get(owner, D(0)) + part
        if owner != EXTERNAL:
            assert abs(after) <= abs(before)
            assert before * after >= 0


def test_a_step_that_is_not_known_leaves_no_rest() -> None:
    parts = in_proportion(D(1), numbers(a="1", b="1", c="1"), D(0))
    assert sum(parts.values()) == 1
    assert max(parts.values()) - min(parts.values()) < D("0.000001")


# -- in whatever order it is learned ----------------------------------------------------------------------------------


@attrs.frozen
class Done:
    """One execution at the exchange."""

    owner: str
    fill: Fill


class World:
    """Holdings with their journal."""

    def __init__(self, *owners: str) -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.others = External(self.ctx, Suspensions(), {})
        accounts = {owner: StrategyPositions() for owner in owners}
        self.holdings = Holdings(self.ctx, accounts, self.others, lambda _: LOT)

    @property
    def told(self) -> list[StrategyTold]:
        return [event for event in self.ctx.events if isinstance(event, StrategyTold)]

    def learn(self, done: Done) -> None:
        if done.owner == OTHERS:
            self.holdings.book_external(done.fill, PositionCause.OTHER_CLIENT)
            return
        account, fill = self.holdings.accounts[done.owner], done.fill
        position = account.position(*KEY)
        position.fill(fill.side, fill.quantity, fill.price)
        account.fills += 1
        account.pay(fill.fee or D(0), fill.fee_asset)
        self.ctx.record(RowKind.FILL, "", fill_body(done.owner, "", fill, position.quantity))
        self.holdings.own(done.owner, fill)

    @property
    def rows(self) -> list[Row]:
        records = [effect for effect in self.ctx.effects if isinstance(effect, AppendJournal)]
        return [Row(number + 1, START_NS, record.kind, record.ref, record.body) for number, record in enumerate(records)]

    def worth(self, price: Decimal) -> Decimal:
        """What the positions and profits of all owners come to, fees subtracted."""
        accounts = self.holdings.accounts.values()
        return sum(
            (account.realized + account.unrealized({SYMBOL: price}) - sum(account.fees.values()) for account in accounts), D(0)
        )


def done(number: int, owner: str, signed: Decimal, price: str = "100", fee: str = "0.01") -> Done:
    side = Side.BUY if signed > 0 else Side.SELL
    fill = Fill(SYMBOL, 10 + number, 900 + number, side, D(price), abs(signed), False, number, fee=D(fee), fee_asset="USDT")
    return Done(owner, fill)


@given(st.integers(0, 2**32))
@settings(max_examples=examples(150))
def test_order_in_which_executions_are_learned_does_not_matter(seed: int) -> None:
    chance = random.Random(seed)
    owners = ["a", "b", "c"][: chance.randrange(1, 4)]
    life = [
        done(number, chance.choice([*owners, OTHERS, OTHERS]), chance.choice((-1, 1)) * chance.randrange(1, 9) * LOT, str(price))
        for number, price in enumerate(chance.sample(range(90, 111), 12))
    ]
    oracle, world = ShareOracle(owners), World(*owners)
    for event in life:
        oracle.trade(event.owner, event.fill.signed)
    for event in sorted(life, key=lambda event: event.fill.trade_id + chance.choice((0, 0, 0, 5, 20))):
        before = world.holdings.position_sum(KEY)
        world.learn(event)
        assert world.holdings.position_sum(KEY) == before + event.fill.signed
    assert world.holdings.held(KEY) == {owner: oracle.held(owner) for owner in (*owners, OTHERS)}
    bought = sum((event.fill.signed * event.fill.price + D("0.01") for event in life), D(0))
    assert world.worth(D(95)) == world.holdings.position_sum(KEY) * 95 - bought
    past = fold(world.rows)
    assert {name: account for name, account in past.accounts.items() if account.fills} == {
        name: account for name, account in world.holdings.accounts.items() if account.fills
    }
    assert [attrs.asdict(execution) for execution in past.executions] == [
        attrs.asdict(execution) for execution in world.holdings.executions
    ]


def test_late_own_fill_is_followed_by_later_shared_executions() -> None:
    """By the time the close by hand is known, the position that it has closed is not: it turns out only then whose it was."""
    world = World("mm")
    world.learn(done(2, OTHERS, D("-1"), "110"))
    assert world.holdings.held(KEY) == {"mm": 0, EXTERNAL: -1}
    assert world.told == []
    world.learn(done(1, "mm", D(1), "100"))
    assert world.holdings.held(KEY) == {"mm": 0, EXTERNAL: 0}
    (told,) = world.told
    strategy, event = told.strategy, told.event
    assert isinstance(event, PositionChanged)
    assert (strategy, event.quantity, event.price, event.position, event.realized_pnl) == ("mm", D(-1), D(110), D(0), D(10))
    assert (event.fee, event.fee_asset, event.trade_id, event.cause) == (D("0.01"), "USDT", 12, PositionCause.OTHER_CLIENT)


def test_an_execution_that_turns_out_ours_is_taken_back_from_all() -> None:
    world = World("mm", "other")
    world.learn(done(1, "mm", D(3)))
    world.learn(done(2, "other", D(1)))
    theirs = done(3, OTHERS, D(-2), fee="0.08")
    world.learn(theirs)
    assert world.holdings.held(KEY) == numbers(mm="1.5", other="0.5", ext="0")
    assert {name: account.fees["USDT"] for name, account in world.holdings.accounts.items()} == {
        "mm": D("0.07"),
        "other": D("0.03"),
        EXTERNAL: 0,
    }
    assert world.holdings.take_back(theirs.fill)
    world.learn(Done("mm", theirs.fill))
    assert world.holdings.held(KEY) == numbers(mm="1", other="1", ext="0")
    assert world.holdings.accounts["other"].fees["USDT"] == D("0.01")
    assert getattr(world.told[-1].event, "cause", None) is PositionCause.OWN_AFTER_ALL
    assert not world.holdings.take_back(theirs.fill)


def test_what_is_remembered_of_a_position_is_bounded() -> None:
    executions = Executions()
    for number in range(REMEMBERED + 50):
        executions.add(execution_of(OTHERS, done(number, OTHERS, LOT).fill))
        assert (executions.since(KEY) is None) == (number < REMEMBERED)  # until then all is remembered
    assert len(list(executions)) == REMEMBERED
    assert executions.since(KEY) == 10 + 50


def test_executions_before_a_settlement_are_not_known() -> None:
    executions = Executions()
    executions.add(execution_of(OTHERS, done(1, OTHERS, LOT).fill))
    assert executions.since(KEY) is None
    executions.forget(KEY, 7)
    assert (executions.since(KEY), executions.settled) == (None, {KEY: 7})
    executions.add(execution_of(OTHERS, done(5, OTHERS, LOT).fill))
    assert executions.since(KEY) == 10 + 5


def test_checkpoint_names_positions_with_forgotten_executions() -> None:
    row = {"epoch_ms": 1, "runs": 1, "orders": [], "fills": {}, "executions": [], "marks": {}}
    account = {"positions": [{"symbol": KEY[0], "side": str(KEY[1]), "position": {}}]}

    def settled(**more: object) -> set[object]:
        body = {**row, "accounts": {"mm": account}, **more}
        return set(fold([Row(1, 1, RowKind.CHECKPOINT, "", body)]).executions.settled)

    assert settled(settled=[]) == set()
    assert settled(settled=[[KEY[0], str(KEY[1])]]) == {KEY}
    assert settled() == {KEY}, "a row from before there was this field: nothing is known to be remembered"


def test_the_same_execution_told_twice_is_shared_once() -> None:
    world = World("mm")
    world.learn(done(1, "mm", D(1)))
    for _ in range(2):
        world.learn(done(2, OTHERS, D(-1)))
    assert world.holdings.held(KEY) == {"mm": 0, EXTERNAL: 0}
    assert len(world.told) == 1


def test_a_booking_without_a_trade_settles_what_came_before() -> None:
    """Afterwards nothing that becomes known late may move what was shared before it."""
    world = World("mm")
    world.learn(done(2, OTHERS, D(-1)))
    world.holdings.share(KEY, D(1), None, PositionCause.ADJUSTMENT)
    world.learn(done(1, "mm", D(1)))
    assert world.holdings.held(KEY) == {"mm": 1, EXTERNAL: 0}
    assert [attrs.asdict(execution) for execution in fold(world.rows).executions] == [
        attrs.asdict(execution) for execution in world.holdings.executions
    ]


@pytest.mark.parametrize(("signed", "own"), [("-1", "0"), ("-0.4", "0.6"), ("1", "1")])
def test_the_first_execution_of_a_position_is_shared_out_too(signed: str, own: str) -> None:
    """The position is from before: no execution of it is remembered."""
    world = World("mm")
    world.holdings.hold("mm", KEY, D(1), D(100), PositionCause.ADJUSTMENT)
    world.learn(done(1, OTHERS, D(signed)))
    assert world.holdings.held(KEY) == {"mm": D(own), EXTERNAL: 1 + D(signed) - D(own)}


def test_a_difference_without_a_price_brings_no_profit() -> None:
    """What a position was closed at is not known: then nothing is invented."""
    world = World("mm")
    world.learn(done(1, "mm", D(2), "100", fee="0"))
    assert world.holdings.share(KEY, D(-2), None, PositionCause.ADJUSTMENT) == {"mm": D(-2)}
    assert world.holdings.accounts["mm"].realized == 0
    assert world.holdings.held(KEY) == {"mm": 0, EXTERNAL: 0}
