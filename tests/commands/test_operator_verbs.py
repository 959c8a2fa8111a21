"""`halt`, `resume` and `orders resolve` with no bot running: what is written down is what the next start begins with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from coldframe.core.state.journal_codec import fold, order_body
from coldframe.core.state.orders import Order
from coldframe.enums import OrderType, Side, TimeInForce
from coldframe.model.halting import HaltLevel
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import halt_file_of, standing_halts
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journalfile import JournalFile
from coldframe.units import exact
from tests.commands.here import CONFIGS, coldframe

QUICKSTART = CONFIGS / "quickstart.toml"
NAME = "cf.mm.abc.1"
SHUT = {"strategies": {"mm": {"code": "LOSS", "text": "loss of strategy mm 7.00 exceeds budget.max_loss 5"}}}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def order(state: OrderState) -> Order:
    made = Order(NAME, "mm", "BTCUSDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, exact("0.002"), exact("50000"))
    made.state, made.sent_ms = state, 1
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """One in which an order waits for a person, and a strategy had lost too much."""
    file = JournalFile(tmp_path / "kept.db")
    waiting = order_body(order(OrderState.NEEDS_OPERATOR))
    run = {"account": "testnet-0", "epoch_ms": 1}
    file.write([(1, RowKind.RUN, "testnet-0", run), (2, RowKind.ORDER, NAME, waiting), (3, RowKind.SUSPENSIONS, "", SHUT)])
    file.close()
    return tmp_path / "kept.db"


@pytest.fixture
def config(tmp_path: Path, journal: Path) -> Path:
    path = tmp_path / "bot.toml"
    path.write_text(f'config_version = 1\nname = "kept"\n[journal]\nfile = "{journal}"\n')
    return path


def test_halting_a_bot_that_does_not_run(home: Path) -> None:
    done = coldframe("halt", QUICKSTART, "--level", "pause", "--reason", "a look\x1b[2J")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "no bot is running: the next start begins halted"
    done = coldframe("halt", QUICKSTART, "--strategy", "absent")
    assert done.returncode == 2
    assert "there is no strategy 'absent'; there is mm-btc, mom-eth" in done.stderr
    assert [halt.level for halt in standing_halts(read(QUICKSTART), "", pytest.fail).halts] == [HaltLevel.PAUSE]
    done = coldframe("resume", QUICKSTART)
    assert done.stdout.splitlines() == ["quickstart: nothing is halted", "no bot is running: the next start trades"]
    assert standing_halts(read(QUICKSTART), "", pytest.fail).halts == ()
    folder = home / "coldframe" / "quickstart"
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.rglob("*") if path.stat().st_mode & 0o077] == []


def test_p16_a_copy_halts_for_itself_and_moving_lifts_nothing(tmp_path: Path) -> None:
    copies = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        copies.append(tmp_path / name / "quickstart.toml")
        copies[-1].write_text(QUICKSTART.read_text())
    answer = json.loads(coldframe("halt", copies[0], "--level", "flatten", "--reason", "only this one", "--json").stdout)
    assert answer["configuration"] == str(copies[0].resolve())
    assert halt_file_of(read(copies[1])).read().halts == ()
    moved = copies[0].rename(tmp_path / "moved.toml")
    told: list[str] = []
    assert [halt.level for halt in standing_halts(read(moved), "", told.append).halts] == [HaltLevel.FLATTEN]
    assert len(told) == 1
    coldframe("resume", moved)
    assert standing_halts(read(moved), "", pytest.fail).halts == ()


def test_o25_with_the_bot_stopped_the_journal_is_told(config: Path, journal: Path) -> None:
    wrong = coldframe("orders", "resolve", config, "cf.mm.abc.2", "--as", "canceled")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "knows no order cf.mm.abc.2" in wrong.stderr
    done = coldframe("orders", "resolve", config, NAME, "--as", "never_accepted")
    assert (done.returncode, done.stdout) == (0, f"{NAME} is never_accepted, as you say\n")
    assert fold(read_rows(journal)).orders[NAME].state is OrderState.NEVER_ACCEPTED
    again = coldframe("orders", "resolve", config, NAME, "--as", "filled")
    assert again.returncode == 2
    assert "(only NEEDS_OPERATOR orders can)" in again.stderr


def test_resume_opens_what_a_loss_had_shut_in_the_journal(config: Path, journal: Path) -> None:
    assert fold(read_rows(journal)).suspensions.strategies["mm"].code == "LOSS"
    assert coldframe("resume", config).returncode == 0
    assert not fold(read_rows(journal)).suspensions


@pytest.mark.scene
def test_without_a_halt_file_paper_runs_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    done = coldframe("run", QUICKSTART, "--for", "1s", "--json")
    assert json.loads(done.stdout)["ended"] == "duration"
    assert "the halt file cannot be kept here: Not a directory: SIGUSR1 halts, `coldframe halt` does not" in done.stderr


@pytest.mark.scene
def test_c1_a_start_says_how_far_the_clock_is_off(tmp_path: Path) -> None:
    path = tmp_path / "skewed.toml"
    path.write_text(QUICKSTART.read_text().replace("seed = 7", "seed = 7\nfaults = { clock_skew_ms = 50_000 }", 1))
    done = coldframe("run", path, "--for", "1s", "--json")
    assert json.loads(done.stdout)["orders"]["rejected"] == 0
    # As well as it can be measured on a machine that is busy with other things.
    assert re.search(r"the clock of this machine is (4[5-9]|5[0-5])\.[0-9] s behind the venue's", done.stderr), done.stderr
