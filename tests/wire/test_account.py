"""The letters of the user-data events mean what protocol.md 8.2 says they mean."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from coldframe.enums import AccountReason, ExecutionType, OrderStatus
from coldframe.errors import DecodeError
from coldframe.wire import account, codec
from coldframe.wire.streams import Message
from tests.wire.shapes import example, fields, written
from tests.wire.test_streams import by_letter

HEAD = "e event E event_ms T transaction_ms"
#: Letter and word in turn, from protocol.md 8.2.
LETTERS: dict[type[Message], str] = {
    account.OrderTradeUpdate: f"{HEAD} o order",
    account.OrderReport: "s symbol c client_order_id S side o type f time_in_force q quantity p price ap average_price sp "
    "stop_price x execution X status i order_id M modify_id l last_quantity z filled_quantity L last_price N commission_asset n "
    "commission T trade_ms t trade_id b bid_notional a ask_notional m maker R reduce_only wt working_type ot original_type ps "
    "position_side cp close_position AP activation_price cr callback_rate pP price_protect si ignored_si ss ignored_ss rp "
    "realized_pnl V self_trade_prevention pm price_match gtd good_till_ms er expiry_reason st product",
    account.TradeLite: f"{HEAD} s symbol q quantity p price m maker c client_order_id S side L last_price l last_quantity t "
    "trade_id i order_id st product",
    account.AccountUpdate: f"{HEAD} a change",
    account.AccountChange: "m reason B balances P positions S symbol",
    account.BalanceChange: "a asset wb wallet_balance cw cross_wallet_balance bc change",
    account.PositionChange: "s symbol pa quantity ep entry_price bep break_even_price cr accumulated_realized up unrealized_pnl "
    "mt margin_type iw isolated_wallet ps position_side ma margin_asset",
    account.MarginCall: "e event E event_ms cw cross_wallet_balance p positions",
    account.MarginCallPosition: "s symbol ps position_side pa quantity mt margin_type iw isolated_wallet mp mark_price up "
    "unrealized_pnl mm maintenance_margin",
    account.AccountConfigUpdate: f"{HEAD} ac leverage ai asset_mode",
    account.LeverageChange: "s symbol l leverage",
    account.AssetModeChange: "j multi_assets",
    account.ListenKeyExpired: "e event E event_ms listenKey listen_key",
    account.AlgoUpdate: f"{HEAD} o order",
    account.AlgoReport: "caid client_algo_id aid algo_id at algo_type o type s symbol S side ps position_side f time_in_force q "
    "quantity X status ai actual_order_id ap actual_price aq actual_quantity act actual_type tp trigger_price p price V "
    "self_trade_prevention wt working_type pm price_match cp close_position pP price_protect R reduce_only tt trigger_ms gtd "
    "good_till_ms rm reject_reason ia activated",
    account.ConditionalOrderTriggerReject: f"{HEAD} or rejected",
    account.TriggerReject: "s symbol i order_id r reason",
    account.StrategyUpdate: f"{HEAD} su strategy",
    account.StrategyChange: "si strategy_id st strategy_type ss status s symbol ut update_ms c op_code",
    account.GridUpdate: f"{HEAD} gu grid",
    account.GridChange: "si strategy_id st strategy_type ss status s symbol r realized_pnl up unmatched_price uq "
    "unmatched_quantity uf unmatched_fee mp matched_pnl ut update_ms",
    account.UnknownEvent: "e event",
    account.ServerShutdown: "e event E event_ms",
}


@pytest.mark.parametrize("kind", LETTERS, ids=lambda kind: kind.__name__)
def test_each_letter_becomes_its_word(kind: type[Message]) -> None:
    assert {field.encode_name: field.name for field in fields(kind)} == by_letter(LETTERS[kind])


def test_no_class_is_left_out() -> None:
    here = {kind for kind in vars(account).values() if isinstance(kind, type) and issubclass(kind, Message)}
    assert here - set(LETTERS) == {Message, account.UserEvent}


def read(event: str, **changes: Any) -> Any:
    kinds = {
        "ORDER_TRADE_UPDATE": account.OrderTradeUpdate,
        "ACCOUNT_UPDATE": account.AccountUpdate,
        "ALGO_UPDATE": account.AlgoUpdate,
    }
    body = {**example(kinds[event]), "e": event}
    inside = "a" if event == "ACCOUNT_UPDATE" else "o"
    body[inside] = {key: value for key, value in {**body[inside], **changes}.items() if value is not UNSET}
    return codec.decode_user(written(body).encode(), codec.Census())


def test_an_order_id_beyond_two_to_the_53_stays_exact() -> None:
    assert read("ORDER_TRADE_UPDATE", i=8389765500000000001).order.order_id == 8389765500000000001


def test_commission_may_be_absent_or_null() -> None:
    absent = read("ORDER_TRADE_UPDATE", N=UNSET, n=UNSET).order
    assert (absent.commission_asset, absent.commission) == (UNSET, UNSET)
    null = read("ORDER_TRADE_UPDATE", N=None, n=None).order
    assert (null.commission_asset, null.commission) == (None, None)
    with pytest.raises(DecodeError):
        read("ORDER_TRADE_UPDATE", n="0.1%")


@pytest.mark.parametrize("word", ["NEW", "CANCELED", "CALCULATED", "EXPIRED", "TRADE", "AMENDMENT"])
def test_the_execution_types_are_known(word: str) -> None:
    assert read("ORDER_TRADE_UPDATE", x=word).order.execution is ExecutionType(word)
    assert ExecutionType(word).known


STATES = "NEW PARTIALLY_FILLED FILLED CANCELED EXPIRED EXPIRED_IN_MATCH NEW_ADL NEW_INSURANCE"
REASONS = (
    "DEPOSIT WITHDRAW ORDER FUNDING_FEE WITHDRAW_REJECT ADJUSTMENT INSURANCE_CLEAR ADMIN_DEPOSIT ADMIN_WITHDRAW MARGIN_TRANSFER "
    "MARGIN_TYPE_CHANGE ASSET_TRANSFER OPTIONS_PREMIUM_FEE OPTIONS_SETTLE_PROFIT AUTO_EXCHANGE COIN_SWAP_DEPOSIT "
    "COIN_SWAP_WITHDRAW"
)


def test_the_order_states_are_known() -> None:
    for word in STATES.split():
        assert read("ORDER_TRADE_UPDATE", X=word).order.status is OrderStatus(word)
        assert OrderStatus(word).known


def test_the_reasons_of_an_account_update_are_known() -> None:
    assert {member.value for member in AccountReason} == set(REASONS.split())
    for word in REASONS.split():
        assert read("ACCOUNT_UPDATE", m=word).change.reason is AccountReason(word)


def test_account_update_may_hold_only_balances_or_only_positions() -> None:
    assert read("ACCOUNT_UPDATE", P=UNSET).change.positions is UNSET
    assert read("ACCOUNT_UPDATE", B=UNSET).change.balances is UNSET
    assert read("ACCOUNT_UPDATE", P=[], B=[]).change.positions == []


def test_the_empty_actual_order_id_stays_a_text() -> None:
    assert read("ALGO_UPDATE", ai="").order.actual_order_id == ""
    assert read("ALGO_UPDATE", ai="22542179").order.actual_order_id == "22542179"


def test_every_expiry_reason_has_a_meaning() -> None:
    assert list(account.EXPIRY_REASONS) == [str(number) for number in range(10)]
    assert all(account.EXPIRY_REASONS.values())


@pytest.mark.parametrize("when", [7, "7"])
def test_the_time_of_an_expired_listen_key_may_be_a_text(when: int | str) -> None:
    payload = written({"e": "listenKeyExpired", "E": when, "listenKey": "K"}).encode()
    event = codec.decode_user(payload, codec.Census())
    assert event == account.ListenKeyExpired(event="listenKeyExpired", event_ms=when, listen_key="K")
