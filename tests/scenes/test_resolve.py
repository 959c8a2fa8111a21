"""What a person settles or opens, with the bot stopped and with the bot running: `orders resolve`, and `resume` after a loss."""

from __future__ import annotations

import time
from pathlib import Path

from coldframe.core.connectivity.signing import HmacSigner
from coldframe.core.state.journal_codec import fold, order_body
from coldframe.core.state.orders import Order
from coldframe.enums import OrderType, Side, TimeInForce
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.build import read
from coldframe.runtime.journals import account_of
from coldframe.secret import Secret
from coldframe.trio_io.journalfile import JournalFile, read_rows
from coldframe.units import exact
from tests.scenes.support import CONFIGS, VenueProcess, coldframe, document, live_config, started, venue, wait_until

NAME = "cf.mm.abc.1"


def given_up(config: Path, there: VenueProcess, journal: Path) -> None:
    """A journal in which an order waits for a person."""
    config.write_text(config.read_text() + f'\n[journal]\nfile = "{journal}"\n')
    account = account_of(read(config).config, HmacSigner(Secret(there.api_key), Secret("x")))
    order = Order(NAME, "mm", "BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, exact("0.002"), exact("50000"))
    order.state, order.sent_ms = OrderState.NEEDS_OPERATOR, 1
    file = JournalFile(journal)
    run = {"account": account, "epoch_ms": 1}
    file.write([(1, RowKind.RUN, account, run), (2, RowKind.ORDER, NAME, order_body(order))])
    file.close()


def state_in(journal: Path) -> OrderState:
    return fold(read_rows(journal)).orders[NAME].state


def test_o25_an_order_that_could_not_be_proved_is_settled_by_a_person(tmp_path: Path, home: dict[str, str]) -> None:
    journal = tmp_path / "kept.db"
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        given_up(config, there, journal)
        wrong = coldframe("orders", "resolve", config, "cf.mm.abc.2", "--as", "canceled", env=home)
        assert wrong.returncode == 2
        assert "knows no order cf.mm.abc.2" in wrong.stderr
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": there.api_key}) as bot:
            bot.wait_for("reconciled (user stream opened)")
            said = document(coldframe("orders", "resolve", config, NAME, "--as", "canceled", "--json", env=home))
            assert (said["order"], said["outcome"], said["result"]) == (NAME, "canceled", "resolved")
            again = coldframe("orders", "resolve", config, NAME, "--as", "canceled", env=home)
            assert again.returncode == 2
            assert "is not for an operator to resolve" in again.stderr
            bot.stop()
            bot.end()
    assert f"resolved by hand: BUY 0.002 BTCUSDT @ 50000 ({NAME}, CANCELED)" in bot.log
    assert state_in(journal) is OrderState.CANCELED


def test_with_the_bot_stopped_the_journal_is_told(tmp_path: Path, home: dict[str, str]) -> None:
    journal = tmp_path / "kept.db"
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        given_up(config, there, journal)
    done = coldframe("orders", "resolve", config, NAME, "--as", "never_accepted", env=home)
    assert (done.returncode, done.stdout) == (0, f"{NAME} is never_accepted, as you say\n")
    assert state_in(journal) is OrderState.NEVER_ACCEPTED
    again = coldframe("orders", "resolve", config, NAME, "--as", "filled", env=home)
    assert again.returncode == 2
    assert "only an order that could not be proved is for you to resolve" in again.stderr


SHUT = {"strategies": {"mm": {"code": "LOSS", "text": "loss of strategy mm would be 7, 5 are allowed"}}}


def shut(config: Path, there: VenueProcess, journal: Path) -> None:
    """A journal of a strategy that had lost too much."""
    given_up(config, there, journal)
    file = JournalFile(journal)
    file.write([(3, RowKind.LATCH, "", SHUT), (4, RowKind.ORDER, NAME, {**ended(), "state": "CANCELED"})])
    file.close()
    assert fold(read_rows(journal)).latched.strategies["mm"].code == "LOSS"


def ended() -> dict[str, object]:
    order = Order(NAME, "mm", "BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, exact("0.002"), exact("50000"))
    return order_body(order)


def test_resume_opens_what_a_loss_had_shut(tmp_path: Path, home: dict[str, str]) -> None:
    journal = tmp_path / "kept.db"
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        shut(config, there, journal)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": there.api_key}) as bot:
            bot.wait_for("book BTCUSDT: synced")
            time.sleep(1)  # in which it would quote
            assert coldframe("resume", config, "--strategy", "mm", env=home).returncode == 0
            wait_until(lambda: there.ask("/fapi/v1/openOrders", symbol="BTCUSDT"), "it quotes")
            bot.stop()
            summary, err = bot.end(), bot.log
    assert "still shut from an earlier run: loss of strategy mm" in err
    assert "opened again: loss of strategy mm" in err
    assert "fill: " not in err.split("opened again")[0]
    assert summary["orders"]["sent"] > 0
    assert summary["orders"]["acked"] > 0
    assert not fold(read_rows(journal)).latched


def test_resume_opens_it_in_the_journal_of_a_stopped_bot(tmp_path: Path, home: dict[str, str]) -> None:
    journal = tmp_path / "kept.db"
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        shut(config, there, journal)
    assert coldframe("resume", config, env=home).returncode == 0
    assert not fold(read_rows(journal)).latched
