"""What a person does to a running bot: settles an order, opens what a loss had shut, stops the process, halts it, lets it go on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from coldframe.core.connectivity.signing import HmacSigner
from coldframe.core.state.journal_codec import fold, order_body
from coldframe.core.state.orders import Order
from coldframe.enums import OrderType, Side, TimeInForce
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.build import read
from coldframe.runtime.journals import account_of
from coldframe.secret import Secret
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journalfile import JournalFile
from coldframe.units import exact
from tests.scenes.support import CONFIGS, Running, VenueProcess, coldframe, live_config, started, venue, wait_until

NAME = "cf.mm.abc.1"
SHUT = {"strategies": {"mm": {"code": "LOSS", "text": "loss of strategy mm 7.00 exceeds budget.max_loss 5"}}}


def with_a_past(folder: Path, there: VenueProcess) -> tuple[Path, Path]:
    """A bot in whose journal an order waits for a person and its strategy had lost too much. Returns configuration and journal."""
    config, journal = live_config(folder, there), folder / "kept.db"
    config.write_text(config.read_text() + f'\n[journal]\nfile = "{journal}"\n')
    account = account_of(read(config).config, HmacSigner(Secret(there.api_key), Secret("x")))
    order = Order(NAME, "mm", "BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, exact("0.002"), exact("50000"))
    order.state, order.sent_ms = OrderState.NEEDS_OPERATOR, 1
    run = {"account": account, "epoch_ms": 1}
    file = JournalFile(journal)
    file.write([(1, RowKind.RUN, account, run), (2, RowKind.ORDER, NAME, order_body(order)), (3, RowKind.SUSPENSIONS, "", SHUT)])
    file.close()
    return config, journal


def quotes(served: VenueProcess) -> list[Any]:
    """Asked for by symbol, which costs little: this scene asks often."""
    return [row for symbol in ("BTCUSDT", "ETHUSDT") for row in served.ask("/fapi/v1/openOrders", symbol=symbol)]


def settles(config: Path, env: dict[str, str]) -> None:
    """`orders resolve` at the running bot; a bot that is too busy to answer in time has changed nothing, and is asked again."""

    def resolved() -> bool:
        done = coldframe("orders", "resolve", config, NAME, "--as", "canceled", env=env)
        assert done.returncode in (0, 75), done.stderr
        return done.returncode == 0

    wait_until(resolved, "the order is resolved")
    again = coldframe("orders", "resolve", config, NAME, "--as", "canceled", env=env)
    assert again.returncode in (2, 75)
    assert again.returncode == 75 or "(only NEEDS_OPERATOR orders can)" in again.stderr


def is_stopped_and_continued(bot: Running) -> None:
    """What waits for a signal with a time limit is told of a signal that was never sent, when the process was stopped meanwhile."""
    stat = Path(f"/proc/{bot.process.pid}/stat")

    def state() -> str:
        return stat.read_text().rpartition(")")[2].split()[0]

    for _ in range(3):
        bot.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state() == "T", "it is stopped")
        bot.process.send_signal(signal.SIGCONT)
        wait_until(lambda: state() != "T", "it goes on")


def test_o25_c4_p10_what_a_person_does_to_a_running_bot(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config, journal = with_a_past(tmp_path, served)
        env = {**home, "SCENE_KEY": served.api_key}
        with started(tmp_path, "run", config, "--live", env=env) as bot:
            bot.wait_for("no new risk since an earlier run: loss of strategy mm")
            bot.wait_for("reconciled (user stream opened)")
            settles(config, home)
            bot.wait_for(f"resolved by hand: BUY 0.002 BTCUSDT @ 50000 ({NAME}, CANCELED)")
            is_stopped_and_continued(bot)
            bot.wait_for("book BTCUSDT: synced")
            assert quotes(served) == []
            assert coldframe("resume", config, "--strategy", "mm", env=home).returncode in (0, 75)
            wait_until(lambda: len(quotes(served)) >= 2, "quoting")
            assert "opened again: loss of strategy mm" in bot.log
            assert "halted: " not in bot.log
            bot.process.send_signal(signal.SIGUSR1)
            wait_until(lambda: quotes(served) == [], "cancelled")
            bot.wait_for("halted: all strategies: cancel (SIGUSR1)")
            bot.stop()
            bot.end()
        past = fold(read_rows(journal))
        assert past.orders[NAME].state is OrderState.CANCELED
        assert not past.suspensions
        with started(tmp_path, "run", config, "--live", env=env) as bot:
            bot.wait_for("starts halted: all strategies: cancel (SIGUSR1)")
            bot.wait_for("synced at")
            assert quotes(served) == []
            resumed = coldframe("resume", config, env=home)
            assert resumed.returncode in (0, 75)
            assert resumed.returncode == 75 or "all strategies: resumed" in resumed.stdout
            wait_until(lambda: len(quotes(served)) >= 2, "quoting again")
            bot.stop()
            bot.end()
        assert quotes(served) == []
    assert not list((Path(home["XDG_STATE_HOME"]) / "coldframe" / "scene").rglob("halt.json"))
