"""The journal a bot is given at its start: what an earlier run has left in it must be something that this one can go on with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from coldframe.core.connectivity.signing import HmacSigner
from coldframe.core.state.journal_codec import RestoredState, booking_body, counted_body, fold, order_body
from coldframe.core.state.loss_limits import Counted
from coldframe.core.state.orders import Order
from coldframe.enums import OrderType, PositionSide, Side, TimeInForce
from coldframe.errors import ConfigError
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.build import Bot, build, read
from coldframe.runtime.journals import open_journal, resume_in_journal
from coldframe.secret import Secret
from coldframe.trio_io.journalfile import JournalFile
from tests.runtime.files import PLUGINS

BOT = """config_version = 1
name = "scene"
[orders]
mode = "paper"
[journal]
file = "journal.db"
account = "paper-one"
[[strategies]]
id = "one"
plugin = "plugins.py:Plain"
symbols = ["BTCUSDT", "ETHUSDT"]
"""
SIGNER = HmacSigner(Secret("key"), Secret("secret"))


def bot(folder: Path, text: str) -> Bot:
    (folder / "plugins.py").write_text(PLUGINS)
    path = folder / "bot.toml"
    path.write_text(text)
    return build(read(path), ("BTCUSDT", "ETHUSDT"))


def opened(folder: Path, text: str = BOT) -> RestoredState:
    with open_journal(bot(folder, text), SIGNER) as kept:
        return kept.past


def written(folder: Path) -> None:
    """An earlier run has left a position and an order, both in ETHUSDT, and something external."""
    order = Order(
        *("cf.one.abc.1", "one", "ETHUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, Decimal(1), Decimal(3000)),
        state=OrderState.ACCEPTED,
    )
    key = ("ETHUSDT", PositionSide.BOTH)
    file = JournalFile(folder / "journal.db")
    file.write(
        [
            (1, RowKind.RUN, "paper-one", {"account": "paper-one", "epoch_ms": 5}),
            (2, RowKind.BOOKING, "ETHUSDT", booking_body("one", "adopted", key=key, quantity=Decimal(2), price=Decimal(3000))),
            (3, RowKind.BOOKING, "ETHUSDT", booking_body("", "adjusted", key=key, quantity=Decimal(3), price=Decimal(3000))),
            (4, RowKind.ORDER, order.client_order_id, order_body(order)),
        ]
    )
    file.close()


def test_what_an_earlier_run_has_left_goes_on(tmp_path: Path) -> None:
    written(tmp_path)
    past = opened(tmp_path)
    assert list(past.orders) == ["cf.one.abc.1"]
    assert past.held() == {("one", "ETHUSDT"): Decimal(2), ("", "ETHUSDT"): Decimal(3)}


@pytest.mark.parametrize(
    "changed", [('id = "one"', 'id = "two"'), ('["BTCUSDT", "ETHUSDT"]', '["BTCUSDT"]')], ids=["the strategy", "the symbol"]
)
def test_what_no_strategy_would_look_after_is_refused(tmp_path: Path, changed: tuple[str, str]) -> None:
    """A position in a symbol that its strategy no longer trades would be neither shown, nor valued, nor flattened."""
    written(tmp_path)
    with pytest.raises(ConfigError) as refused:
        opened(tmp_path, BOT.replace(*changed))
    assert "2 ETHUSDT of strategy one" in str(refused.value)
    assert "an open order of strategy one in ETHUSDT (cf.one.abc.1)" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nothing_of_another_account_goes_on(tmp_path: Path) -> None:
    written(tmp_path)
    assert opened(tmp_path, BOT.replace("paper-one", "paper-two")).orders == {}


def test_saved_values_of_another_account_are_forgotten_by_name(tmp_path: Path) -> None:
    written(tmp_path)
    file = JournalFile(tmp_path / "journal.db")
    file.write([(5, RowKind.STATE, name, {"value": value}) for name, value in (("two", 2), ("one", [1]), ("none", None))])
    file.close()
    for account, states, forgotten in (
        ("paper-one", {"two": 2, "one": [1], "none": None}, ()),
        ("paper-two", {}, ("one", "two")),
    ):
        with open_journal(bot(tmp_path, BOT.replace("paper-one", account)), SIGNER) as kept:
            assert (kept.past.states, kept.forgotten) == (states, forgotten)


@pytest.mark.parametrize(("strategy", "left"), [("one", {""}), (None, set()), ("two", {"", "one"})])
def test_a_resume_between_two_runs_lets_losses_be_counted_anew(tmp_path: Path, strategy: str | None, left: set[str]) -> None:
    made = bot(tmp_path, BOT)
    file = JournalFile(tmp_path / "journal.db")
    counted = counted_body(Counted(Decimal(5), Decimal(6), 7))
    file.write([(1, RowKind.LOSSES, "one", counted), (2, RowKind.LOSSES, "", counted)])
    file.close()
    resume_in_journal(made.loaded, strategy)
    with open_journal(made, SIGNER):
        pass
    file = JournalFile(tmp_path / "journal.db")
    assert set(fold(file.state_rows()).losses) == left
    file.close()
