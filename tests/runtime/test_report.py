"""The summary of a run: exactly the fields that are promised, figures that add up, and lines that hide nothing."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import attrs
import pytest

from coldframe.core.lifecycle.shutdown import EndReport
from coldframe.core.state.orders import Order
from coldframe.core.state.protection import OpenPosition
from coldframe.enums import OrderType, PositionSide, Side, TimeInForce
from coldframe.runtime.report import RunEnd, exit_code, run_summary, summary_lines
from coldframe.units import NS_PER_S
from tests.runtime.scene import Scene

#: Every field with the kinds of its value; a tuple of one dict stands for any names with such values.
FIELDS: dict[str, Any] = {
    "schema_version": int,
    "verb": str,
    "name": str,
    "environment": str,
    "orders_mode": str,
    "ended": str,
    "elapsed_s": float,
    "books": ({"state": str, "update_id": int, "resyncs": int},),
    "events": {"received": int, "dispatched": int},
    "strategies": (
        {
            "state": str,
            "intents": int,
            "verdicts": (int,),
            "orders": int,
            "fills": int,
            "position": (str,),
            "realized_pnl": str,
            "unrealized_pnl": str,
            "fees": str,
            "fees_by_asset": (str,),
            "funding": str,
        },
    ),
    "orders": {"sent": int, "acked": int, "rejected": int, "cancelled": int, "filled": int, "unknown": int},
    "limits": {"weight_1m_peak": int, "orders_10s_peak": int},
    "links": {"reconnects": int, "connects_held": int},
    "external": {"fills": int, "position": (str,), "funding": str, "adjustments": list, "halted": (str,), "settings": list},
    "end": {
        "kept": list,
        "open": list,
        "unknown": list,
        "positions": list,
        "fills_owed": list,
        "disputed": list,
        "muted": list,
        "compared": bool,
        "unrecorded": str,
    },
    "exit_code": int,
}

#: Said of a strategy only when there is something to say.
TROUBLES: dict[str, Any] = {
    "fault": str,
    "shut": str,
    "refusals": (str,),
    "held_back": (int,),
    "strained": (str,),
    "fees_estimated": list,
    "changed_by_others": (int,),
    "left_out": int,
}


def check_shape(value: Any, shape: Any, at: str = "") -> None:
    if isinstance(shape, tuple):
        assert isinstance(value, dict), at
        for key, inner in value.items():
            check_shape(inner, shape[0], f"{at}.{key}")
    elif isinstance(shape, dict):
        assert [key for key in value if key not in TROUBLES] == list(shape), at
        for key, inner in value.items():
            check_shape(inner, TROUBLES.get(key) or shape[key], f"{at}.{key}")
    else:
        assert type(value) is shape, at


@pytest.fixture
def summary(scene: Scene) -> dict[str, Any]:
    return run_summary(scene.bot, scene.engine, scene.result.ended)


def test_it_has_exactly_the_promised_fields(summary: dict[str, Any]) -> None:
    check_shape(summary, FIELDS)
    check_shape(json.loads(json.dumps(summary)), FIELDS)


def test_its_figures_are_those_of_the_run(summary: dict[str, Any], scene: Scene) -> None:
    assert (summary["schema_version"], summary["verb"], summary["name"]) == (1, "run", "scene")
    assert (summary["environment"], summary["orders_mode"], summary["ended"]) == ("embedded", "paper", "duration")
    assert 3 <= summary["elapsed_s"] < 10
    assert set(summary["books"]) == {"BTCUSDT", "ETHUSDT"}
    assert all(book["state"] == "synced" and book["update_id"] > 0 for book in summary["books"].values())
    assert summary["events"]["received"] > summary["events"]["dispatched"] > 0
    assert summary["orders"] == {"sent": 2, "acked": 2, "rejected": 0, "cancelled": 1, "filled": 1, "unknown": 0}
    assert summary["limits"]["orders_10s_peak"] == 2
    assert summary["limits"]["weight_1m_peak"] > 0
    busy, broken = summary["strategies"]["busy"], summary["strategies"]["broken"]
    assert (busy["state"], busy["orders"], busy["fills"], busy["intents"]) == ("running", 2, 1, 3)
    assert busy["verdicts"] == {"ACCEPTED": 2, "ORDER_NOTIONAL": 1}
    assert busy["position"] == {"BTCUSDT": "0.01"}
    mark = scene.engine.state.mark_prices["BTCUSDT"]
    assert Decimal(busy["fees"]) > 0
    assert busy["realized_pnl"] == "0"
    assert abs(Decimal(busy["unrealized_pnl"])) < mark
    assert broken == {
        "state": "muted",
        "intents": 0,
        "verdicts": {},
        "orders": 0,
        "fills": 0,
        "position": {"ETHUSDT": "0"},
        "realized_pnl": "0",
        "unrealized_pnl": "0",
        "fees": "0",
        "fees_by_asset": {},
        "funding": "0",
        "fault": broken["fault"],
    }
    assert busy["fees_by_asset"] == {"USDT": busy["fees"]}
    assert summary["external"] == {"fills": 0, "position": {}, "funding": "0", "adjustments": [], "halted": {}, "settings": []}
    assert broken["fault"].startswith("on_")
    assert busy["refusals"]["ORDER_NOTIONAL"].startswith("Place: order notional would be")


@pytest.mark.parametrize("how", ["duration", "signal", "recording_end", "halt"])
def test_how_it_ended(scene: Scene, how: str) -> None:
    document = run_summary(scene.bot, scene.engine, RunEnd(how, 12_345_678_901))
    assert (document["ended"], document["elapsed_s"]) == (how, 12.346)
    assert summary_lines(document)[0] == f"scene: ended by {how} after 12.3 s"
    assert run_summary(scene.bot, scene.engine, RunEnd(how, 20 * NS_PER_S))["elapsed_s"] == 20.0


def test_the_lines_say_what_the_document_says(summary: dict[str, Any]) -> None:
    lines = summary_lines(summary)
    busy = summary["strategies"]["busy"]
    assert lines[1:3] == [f"  book {name}: synced at {book['update_id']}" for name, book in summary["books"].items()]
    assert lines[3:] == [
        f"  busy (running): 2 orders, 1 fills, BTCUSDT 0.01; realised 0, unrealised {busy['unrealized_pnl']}, fees {busy['fees']}",
        f"    refused 1 times: ORDER_NOTIONAL: {busy['refusals']['ORDER_NOTIONAL']}",
        "  broken (muted): 0 orders, 0 fills, flat; realised 0, unrealised 0, fees 0",
        f"    muted: {summary['strategies']['broken']['fault']}",
        "  orders: 2 sent, 2 acknowledged, 1 filled, 1 cancelled, 0 rejected, 0 unknown",
        "  position left open: busy BTCUSDT 0.01, 0.01 of it UNPROTECTED: no stop stands at the venue",
        f"  limits: at most {summary['limits']['weight_1m_peak']} weight a minute, 2 orders in 10 s; 0 reconnects",
        "  exit code 4: a position is left without a stop, or is not what the account says",
    ]


def test_the_lines_hide_nothing_that_went_wrong(summary: dict[str, Any]) -> None:
    bad = copy.deepcopy(summary)
    bad["books"]["BTCUSDT"] |= {"state": "stale", "resyncs": 3}
    bad["orders"] |= {"unknown": 2, "rejected": 5}
    bad["links"] |= {"reconnects": 7, "connects_held": 2}
    bad["strategies"]["busy"]["verdicts"] = {"ACCEPTED": 1, "NO_CHANGE": 4, "STALE_BOOK": 2, "DRAWDOWN": 1}
    bad["strategies"]["busy"]["shut"] = "loss of strategy busy 7.00 exceeds budget.max_loss 5"
    bad["strategies"]["busy"]["held_back"] = {"ORDER_RATE": 3}
    bad["strategies"]["busy"]["strained"] = {"ORDER_RATE": "lives at its limit"}
    stop = {"order": "cf.busy.x.3", "strategy": "busy", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    bad["end"] |= {
        "open": ["cf.busy.x.1"],
        "unknown": ["cf.busy.x.2"],
        "kept": [{**stop, "quantity": None, "price": None, "trigger_price": "50000", "tag": "exit", "may_vanish": True}],
        "fills_owed": [{"order": "cf.busy.x.4", "strategy": "busy", "symbol": "BTCUSDT", "quantity": "0.003"}],
        "disputed": ["ETHUSDT"],
        "compared": False,
        "unrecorded": "disk full",
    }
    text = "\n".join(summary_lines(bad))
    assert f"book BTCUSDT: stale at {bad['books']['BTCUSDT']['update_id']}, 3 resyncs" in text
    assert "5 rejected, 2 unknown" in text
    assert "; 7 reconnects, 2 held back" in text
    assert "refused 2 times: STALE_BOOK" in text
    assert "takes no new risk until `coldframe resume`: loss of strategy busy" in text
    assert "held back 3 times: ORDER_RATE" in text
    assert "    lives at its limit" in text
    assert "still open at the venue, as far as is known: cf.busy.x.1, cf.busy.x.2" in text
    assert (
        "kept at the venue: SELL STOP_MARKET the whole position of BTCUSDT at 50000 (cf.busy.x.3, tag exit): it may vanish" in text
    )
    assert "fills owed: 0.003 BTCUSDT of cf.busy.x.4 has traded, but the trades are not known" in text
    assert "ETHUSDT: the account's position differs from the bot's fills" in text
    assert "not compared with the account at the end" in text
    assert "the journal does not hold this end (disk full): the next run takes it for a crash" in text
    assert "NO_CHANGE" not in text


def test_an_unfinished_end_is_told_by_its_document(summary: dict[str, Any]) -> None:
    end = summary["end"]
    assert end["positions"] == [
        {
            "strategy": "busy",
            "symbol": "BTCUSDT",
            "position_side": "BOTH",
            "quantity": "0.01",
            "unprotected": "0.01",
            "covered": "0",
            "stops": [],
            "limiting_no_loss": [],
        }
    ]
    assert (end["muted"], end["compared"], end["unrecorded"]) == (["broken"], True, "")
    assert end["kept"] == end["open"] == end["unknown"] == end["fills_owed"] == end["disputed"] == []
    assert summary["exit_code"] == 4


def order(**more: Any) -> Order:
    given = {"side": Side.SELL, "type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC, "price": Decimal(1)}
    return Order(**{"client_order_id": "x", "strategy": "a", "symbol": "S", "quantity": Decimal(1), **given, **more})


NAKED = OpenPosition(strategy="a", symbol="S", position_side=PositionSide.BOTH, quantity=Decimal(1))
SAFE = attrs.evolve(NAKED, covered=Decimal(1), stops=("x",))


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ({}, 0),
        ({"kept": (order(),), "positions": (SAFE,)}, 0),
        ({"muted": ("a",)}, 5),
        ({"positions": (NAKED,)}, 4),
        ({"position_breaks": ("S",)}, 4),
        ({"left": (order(),)}, 3),
        ({"owed": (order(),)}, 3),
        ({"compared": False}, 0),
        ({"compared": False, "kept": (order(),)}, 3),
        ({"compared": False, "positions": (SAFE,)}, 3),
        ({"muted": ("a",), "positions": (NAKED,)}, 4),
        ({"muted": ("a",), "positions": (NAKED,), "left": (order(),)}, 3),
    ],
    ids=str,
)
def test_p18_the_gravest_exit_code_stands(left: dict[str, Any], expected: int) -> None:
    assert exit_code(EndReport(**left)) == expected
    assert exit_code(EndReport(**left), "disk full") == 3
