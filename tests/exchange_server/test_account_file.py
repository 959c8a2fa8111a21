"""What the file of the accounts remembers, and how it takes damage."""

from __future__ import annotations

import os
import stat
from decimal import Decimal
from pathlib import Path

import pytest

from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.exchange_server.account_file import FileAccountStore
from tests.exchange.rig import SYMBOL, Rig, symbol_market

BUY = Side.BUY


_ALIVE: list[FileAccountStore] = []


def _reopened(path: Path) -> FileAccountStore:
    """The account store of a new process: what the one before held, the system has let go."""
    while _ALIVE:
        before = _ALIVE.pop()
        if before._file is not None:  # it has not been closed by its own test
            before._held.release()
    store = FileAccountStore(path)
    _ALIVE.append(store)
    return store


def _rig(path: Path) -> Rig:
    return Rig(symbol_market(), store=_reopened(path))


def _used(path: Path) -> Rig:
    rig = _rig(path)
    rig.book()
    rig.call("POST /fapi/v1/leverage", symbol=SYMBOL, leverage=7)
    rig.place("BUY", "2")
    rig.place("BUY", "3", "990.0", newClientOrderId="rests")
    rig.cancel(rig.place("BUY", "1", "980.0")["orderId"])
    rig.call(
        "POST /fapi/v1/algoOrder",
        algoType="CONDITIONAL",
        symbol=SYMBOL,
        side="SELL",
        type="STOP_MARKET",
        quantity="1",
        triggerPrice="900.0",
        clientAlgoId="guard",
    )
    rig.exchange.note_last_prices(rig.now_ms)
    rig.exchange.store.commit()
    return rig


def test_restarted_venue_remembers_all_without_an_orderly_end(tmp_path: Path) -> None:
    before = _used(tmp_path)
    after = _rig(tmp_path)
    assert after.wallet() == before.wallet()
    assert after.position() == 2
    assert after.call("GET /fapi/v3/positionRisk") == before.call("GET /fapi/v3/positionRisk")
    assert after.call("GET /fapi/v1/symbolConfig", symbol=SYMBOL)[0]["leverage"] == 7
    for call in ("openOrders", "openAlgoOrders", "income"):
        assert after.call(f"GET /fapi/v1/{call}") == before.call(f"GET /fapi/v1/{call}")
    for call in ("allOrders", "userTrades"):
        assert after.call(f"GET /fapi/v1/{call}", symbol=SYMBOL) == before.call(f"GET /fapi/v1/{call}", symbol=SYMBOL)
    assert after.exchange.store.last_prices == before.exchange.store.last_prices


def test_open_orders_stand_in_the_book_again_and_fill(tmp_path: Path) -> None:
    _used(tmp_path)
    after = _rig(tmp_path)
    assert after.symbol_market.matching.depth(BUY, 9) == [(990 * 10**12, 3 * 10**12)]
    after.public_takes(Side.SELL, "3", "990.0")
    assert after.position() == 5


def test_restart_in_a_moved_market_trades_with_the_crossed_order(tmp_path: Path) -> None:
    before = _used(tmp_path)
    resting = before.place("BUY", "1", "991.0", timeInForce="GTX")["orderId"]
    before.exchange.store.commit()
    moved = symbol_market()
    moved.rest(Side.SELL, 985 * 10**12, 10**13, before.now_ms)
    after = Rig(moved, store=_reopened(tmp_path))
    assert after.position() == 5
    assert after.query(resting)["status"] == "EXPIRED"
    assert after.symbol_market.matching.best(BUY) is None


def test_orders_that_only_close_survive_a_restart_together(tmp_path: Path) -> None:
    before = _used(tmp_path)
    for quantity, price in (("0.5", "1010.0"), ("1", "1011.0")):
        before.place("SELL", quantity, price, reduceOnly="true")
    before.exchange.store.commit()
    after = _rig(tmp_path)
    assert len(after.call("GET /fapi/v1/openOrders")) == 3
    assert after.symbol_market.matching.depth(Side.SELL, 9) == [(1010 * 10**12, 5 * 10**11), (1011 * 10**12, 10**12)]


def test_restart_that_closes_a_position_ends_its_closing_orders(tmp_path: Path) -> None:
    before = _used(tmp_path)
    nearest = before.place("SELL", "2", "1010.0")["orderId"]
    closing = before.place("SELL", "2", "1011.0", reduceOnly="true")["orderId"]
    before.exchange.store.commit()
    moved = symbol_market()
    moved.rest(BUY, 1015 * 10**12, 10**13, before.now_ms)
    after = Rig(moved, store=_reopened(tmp_path))
    assert after.position() == 0
    assert [after.query(order)["status"] for order in (nearest, closing)] == ["FILLED", "EXPIRED"]


def test_ids_go_on_growing(tmp_path: Path) -> None:
    before = _used(tmp_path)
    last = max(before.exchange.state.books("a").orders)
    after = _rig(tmp_path)
    after.book()
    assert after.place("BUY", "1", "980.0")["orderId"] > last


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    _used(tmp_path)
    file = tmp_path / "ledger.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines()[-1][:20])
    assert _rig(tmp_path).position() == 2
    assert file.read_bytes().endswith(b"}\n")


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    _used(tmp_path)
    file = tmp_path / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], b"{nonsense\n", *lines[1:]]))
    with pytest.raises(ConfigError, match=r"ledger\.jsonl:2: venue\.embedded\.state_dir"):
        _reopened(tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"wallet":"', b'"wallet":"1e99999999'),
        (b'"wallet":"', b'"wallet":"' + b"9" * 5_000),
        (b'"wallet":"9998.99990000"', b'"wallet":"NaN"'),
        (b'"default_leverage":20', b'"default_leverage":' + b"9" * 4_000),
        (b'"k":"account"', b'"zz":' + b"[" * 20_000 + b"]" * 20_000 + b',"k":"account"'),
        (b'"name":"a"', b'"name":"b"'),
        (b'"side":"BUY"', b'"side":"BUYS"'),
        (b'"quantity":"3"', b'"quantity":"-3"'),
        (b'"quantity":"3"', b'"quantity":"99999999999999999999"'),
    ],
    ids=["exponent", "digits", "NaN", "whole number", "deep", "no account", "no side", "negative", "too much"],
)
def test_records_that_no_venue_wrote_are_told_in_one_line(tmp_path: Path, before: bytes, after: bytes) -> None:
    _used(tmp_path)
    file = tmp_path / "ledger.jsonl"
    whole = file.read_bytes()
    assert before in whole
    while _ALIVE:
        _ALIVE.pop().close()
    file.write_bytes(whole.replace(before, after))
    with pytest.raises(ConfigError, match=r"venue\.embedded\.state_dir") as told:
        _rig(tmp_path)
    assert "\n" not in str(told.value)
    assert "another venue" not in str(told.value)


def test_an_account_file_that_cannot_be_read_is_let_go(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b"{nonsense\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match="not a record"):
            FileAccountStore(tmp_path)
    file.unlink()
    FileAccountStore(tmp_path).close()


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="state_dir"):
        _reopened(tmp_path / "file")


def test_the_file_is_private_and_shrinks_at_every_start(tmp_path: Path) -> None:
    rig = _used(tmp_path)
    for _ in range(50):
        order_id = rig.place("BUY", "1", "980.0")["orderId"]
        rig.exchange.store.commit()
        rig.cancel(order_id)
        rig.exchange.store.commit()
    file = tmp_path / "ledger.jsonl"
    before = file.stat().st_size
    _reopened(tmp_path).close()
    assert file.stat().st_size < before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_directory_nothing_is_written(tmp_path: Path) -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1")
    rig.exchange.store.commit()
    assert rig.exchange.state.books("a").account.wallet == Decimal("9999.49995000")
    assert list(tmp_path.iterdir()) == []


def test_two_venues_never_keep_the_same_accounts(tmp_path: Path) -> None:
    first = FileAccountStore(tmp_path)
    with pytest.raises(ConfigError, match=rf"another venue keeps its accounts here \(pid {os.getpid()}, an embedded exchange\)"):
        FileAccountStore(tmp_path)
    first.close()
    FileAccountStore(tmp_path).close()
