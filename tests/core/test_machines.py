"""The machines of the engine: each has one entry, `step`, and is read as a trace in the tests of its folder.

A machine keeps what it knows from one input to the next and takes in what comes from outside of the engine (a message, an answer,
the fate of a link, a moment) or what has happened in this step. What only answers, or does what a machine asks of it in the running
step, is a part of that machine.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import attrs
import pytest

import coldframe
from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.engine import Purpose
from coldframe.core.reconciliation.asset_prices import AssetsSeen
from coldframe.model.inputs import RestAnswered
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

CORE = Path(coldframe.__file__).parent / "core"
TESTS = Path(__file__).parent

#: Each machine, and the test that reads like its trace, in `test_traces.py` of its folder.
MACHINES: Final = {
    "connectivity.api_session.Session": "test_trace_of_the_session",
    "connectivity.rest_queue.RestQueue": "test_trace_of_the_rest_queue",
    "connectivity.user_stream.UserStream": "test_trace_of_the_user_stream",
    "connectivity.venue_clock.VenueClock": "test_trace_of_the_clock",
    "marketdata.book_sync.BookSync": "test_trace_of_a_book",
    "marketdata.links.Feed": "test_trace_of_the_feed",
    "marketdata.market.Market": "test_trace_of_the_market_side",
    "marketdata.rotation.StreamSequence": "test_trace_of_a_stream_over_two_links",
    "execution.algo_orders.AlgoOrders": "test_trace_of_a_conditional_order",
    "execution.countdown_cancel.CountdownCancel": "test_trace_of_the_countdown",
    "execution.execution_reports.ExecutionReports": "test_trace_of_execution_reports",
    "execution.order_executor.OrderExecutor": "test_trace_of_the_order_executor",
    "reconciliation.account_settings.AccountWatch": "test_trace_of_the_account_watch",
    "reconciliation.asset_prices.AssetPrices": "test_trace_of_asset_prices",
    "reconciliation.funding_income.FundingIncome": "test_trace_of_funding_income",
    "reconciliation.leverage_brackets.Brackets": "test_trace_of_leverage_brackets",
    "reconciliation.open_orders.ListedOrders": "test_trace_of_rows_of_open_orders",
    "reconciliation.order_side.OrderSide": "test_trace_of_the_order_side",
    "reconciliation.position_breaks.PositionBreaks": "test_trace_of_a_position_that_breaks",
    "reconciliation.rounds.Reconciler": "test_trace_of_the_reconciler",
    "strategies.contract_refresh.ContractRefresh": "test_trace_of_a_contract_refresh",
    "strategies.dispatch.Strategies": "test_trace_of_the_strategies",
    "lifecycle.first_minutes.StartGuard": "test_trace_of_the_first_minutes",
    "lifecycle.kill_switch.KillSwitch": "test_trace_of_the_kill_switch",
    "lifecycle.shutdown.Shutdown": "test_trace_of_an_end",
    "engine.Engine": "test_trace_of_the_engine",
}

#: What works for a machine within its step, for which, and the trace of that machine in which it is read.
PARTS: Final = {
    "connectivity.request_ways.RequestWays": ("execution.order_executor.OrderExecutor", "test_trace_of_the_two_ways_of_a_cancel"),
    "execution.absence_proof.AbsenceProof": ("execution.order_executor.OrderExecutor", "test_trace_of_an_absence_proof"),
    "execution.amending.Amending": ("execution.order_executor.OrderExecutor", "test_trace_of_amendments_that_are_refused"),
    "execution.inquiry.Inquiry": ("execution.order_executor.OrderExecutor", "test_trace_of_an_order_of_unknown_fate"),
    "execution.owed_fills.OwedFills": ("engine.Engine", "test_trace_of_fills_that_are_owed"),
    "marketdata.handlers.BookHandler": ("marketdata.market.Market", "test_trace_of_the_market_side"),
    "marketdata.handlers.MessageHandler": ("marketdata.market.Market", "test_trace_of_a_plain_stream"),
    "reconciliation.due_work.DueWork": ("reconciliation.order_side.OrderSide", "test_trace_of_what_is_due"),
    "reconciliation.startup.StartCheck": ("reconciliation.rounds.Reconciler", "test_trace_of_the_start_check"),
    "reconciliation.trade_scan.TradeScan": ("reconciliation.rounds.Reconciler", "test_trace_of_a_trade_scan"),
    "strategies.desired_state.DesiredState": ("strategies.dispatch.Strategies", "test_trace_of_the_strategies"),
    "strategies.listening.MarketNews": ("strategies.dispatch.Strategies", "test_trace_of_the_strategies"),
    "strategies.listening.StreamListeners": ("strategies.dispatch.Strategies", "test_trace_of_the_strategies"),
    "lifecycle.journal_rows.JournalRows": ("engine.Engine", "test_trace_of_rows_of_the_journal"),
    "lifecycle.risk_rows.RiskRows": ("engine.Engine", "test_trace_of_rows_of_the_journal"),
}


def acting() -> Iterator[tuple[str, type]]:
    """The classes of the engine that emit effects: they are made with the step, or with what it is part of."""
    for path in sorted(CORE.rglob("*.py")):
        module = ".".join(["coldframe", "core", *path.relative_to(CORE).with_suffix("").parts])
        if path.is_relative_to(CORE / "state"):
            continue  # what changes the state does what machines tell it
        for member in vars(importlib.import_module(module)).values():
            if inspect.isclass(member) and member.__module__ == module and emits(member):
                yield f"{module.removeprefix('coldframe.core.')}.{member.__name__}", member


def emits(member: type) -> bool:
    """Whether it is made with a step context, or has a step of its own."""
    made_with = inspect.signature(member).parameters.values() if "__init__" in vars(member) else ()
    return "step" in vars(member) or any("StepContext" in str(parameter.annotation) for parameter in made_with)


def traces(folder: Path) -> dict[str, ast.FunctionDef]:
    """The traces among the tests of a folder."""
    tree = ast.parse((folder / "test_traces.py").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_trace_")}


def test_all_that_acts_is_a_machine_or_part_of_one() -> None:
    assert {name for name, _ in acting()} == {*MACHINES, *PARTS}
    assert {machine for machine, _ in PARTS.values()} <= set(MACHINES)


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_has_one_entry(name: str) -> None:
    members = dict(acting())
    assert callable(vars(members[name])["step"])


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_no_entry(name: str) -> None:
    assert "step" not in vars(dict(acting())[name])


#: The machines and parts, each with the machine in whose folder its trace stands.
READ: Final = {name: (name, test) for name, test in MACHINES.items()} | PARTS


def folder_of(name: str) -> Path:
    return TESTS.joinpath(*name.split(".")[:-2])


@pytest.mark.parametrize("name", READ)
def test_it_is_read_as_a_trace(name: str) -> None:
    """Its trace plays a `Playbook`: at least three inputs go in, and at least one effect or event comes out of them."""
    machine, test = READ[name]
    played = ast.unparse(traces(folder_of(machine))[test])
    assert "Playbook(" in played
    assert played.count(">>") >= 3
    assert "<<" in played


@pytest.mark.parametrize("name", MACHINES)
def test_the_traces_of_a_folder_play_its_machines(name: str) -> None:
    assert name.rpartition(".")[2] in (folder_of(name) / "test_traces.py").read_text()


# -- what requests are for ----------------------------------------------------------------------------------------------


def test_every_purpose_but_the_log_on_is_one_of_the_union() -> None:
    """The session keeps its log-on to itself: nothing follows from its answer but whether the session is ready."""
    ours = (purpose for purpose in RequestPurpose.__subclasses__() if purpose.__module__.startswith("coldframe."))
    names = {purpose.__name__ for purpose in ours}
    assert names - {purpose.__name__ for purpose in get_args(Purpose)} == {"_Logon"}
    assert {purpose.__name__ for purpose in get_args(Purpose)} < names


@pytest.mark.parametrize("purpose", get_args(Purpose), ids=lambda purpose: purpose.__name__)
def test_what_follows_an_answer_stands_in_the_table(purpose: type) -> None:
    """Each of them comes back to a machine, also when its call has brought nothing."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="99.5"))
    (order,) = made.engine.orders.live
    assert made.engine.trading is not None
    made.engine.trading.assets.step(AssetsSeen(fees=("BNB",)))
    given = {"str": "BNB", "int": 1, "bool": False, "Decimal": D(1), "Order": order}
    terms = {field.name: given[str(field.type)] for field in attrs.fields(purpose)}
    made.engine._calls._pending[7_000] = purpose(**terms)
    made.give(RestAnswered(7_000, None, made.now_ns, "timed out"))
    assert 7_000 not in made.engine._calls._pending


def test_a_purpose_of_no_machine_is_an_error() -> None:
    """The table does not let an answer fall."""
    made = Scripted(Actor()).ready()

    class Unhandled(RequestPurpose):
        pass

    made.engine._calls._pending[7_000] = Unhandled()
    with pytest.raises(AssertionError, match="Unhandled"):
        made.give(RestAnswered(7_000, None, made.now_ns, "timed out"))
