"""A plugin gets values and views, never the machines behind them: nothing it is given can be written to with effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import attrs
import msgspec
import pytest

from coldframe.core.marketdata.events import event_of
from coldframe.core.state.limits import Budget
from coldframe.core.strategies.view import LocalBookView, OrderSnapshot, StrategyView
from coldframe.enums import OrderType, PositionSide, Side
from coldframe.model.effects import LinkKind
from coldframe.model.events import OrderChanged, OrderFilled, StrategyEvent
from coldframe.model.inputs import FramesReceived, Lane
from coldframe.model.intents import SaveState
from coldframe.model.orders import OrderState
from coldframe.model.saved_state import frozen_of
from coldframe.wire.codec import Census, decode_stream, encode
from coldframe.wire.frames import envelope
from coldframe.wire.names import StreamKind, StreamName, parse
from tests.core.marketdata.test_events import BOOK_KINDS, CASES
from tests.core.reach import names_of, reached
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

#: What of the core a plugin may hold.
GIVEN = (StrategyView, LocalBookView, OrderSnapshot)


#: What the strategy of `world` has saved, as its views show it.
SAVED = {"ladder": ({"at": D(99), "done": (True,)},), "since": "noon"}


def world() -> tuple[Scripted, Actor]:
    """A strategy with a limit, a position and an order that rests, partly filled."""
    actor = Actor()
    channels = ("depth@100ms", "markPrice@1s", "kline_1m")
    made = Scripted(actor, channels=channels, budgets={"mm": Budget(max_position=D(2))}).ready()
    kline = CASES[StreamKind.KLINE]
    frame, name = envelope("btcusdt@kline_1m", encode(kline.payload)), parse("btcusdt@kline_1m")
    link = next(link for link in made.of_kind(LinkKind.MARKET) if made.engine.market.feed.in_charge(name, link))
    made.give(FramesReceived(link, (frame,)), Lane.MARKET)
    made.want(actor, place(quantity="1"), place(Side.SELL, "2", "105"))
    order = next(iter(made.engine.orders.live))
    made.fill(order.client_order_id, "0.5")
    made.want(actor, SaveState({"ladder": [{"at": D(99), "done": [True]}], "since": "noon"}))
    return made, actor


def asked(thing: object) -> Mapping[str, object]:
    """What the methods with arguments answer."""
    match thing:
        case StrategyView():
            return {
                "instrument": thing.instrument("BTCUSDT"),
                "book": thing.book("BTCUSDT"),
                "rpi_book": thing.book("BTCUSDT", rpi=True),
                "position": thing.position("BTCUSDT", PositionSide.LONG),
                "entry_price": thing.entry_price("BTCUSDT"),
                "mark_price": thing.mark_price("BTCUSDT"),
                "candles": thing.candles("BTCUSDT", "1m"),
                "orders": thing.orders("BTCUSDT"),
                "trading_allowed": thing.trading_allowed("BTCUSDT"),
            }
        case LocalBookView():
            return {"bids": thing.bids(5), "asks": thing.asks(5), "known_to": thing.known_to(Side.BUY)}
        case _:
            return {}


def during(made: Scripted, actor: Actor, look: Callable[[Any, Any], object]) -> None:
    """Runs `look` within a hook; what it raises comes out of the engine."""
    actor.acts["on_wake"] = look
    made.wake(actor)


def machines(found: Mapping[int, tuple[str, object]]) -> list[str]:
    """Objects of the core and of the floors below it other than values."""
    mutable = [(way, thing) for way, thing in found.values() if type(thing).__module__.startswith("coldframe.")]
    return [way for way, thing in mutable if not isinstance(thing, GIVEN) and type(thing).__module__.startswith("coldframe.core")]


def writable(found: Mapping[int, tuple[str, object]]) -> list[str]:
    """The attributes of our objects that can be set."""
    took: list[str] = []
    for way, thing in found.values():
        if not type(thing).__module__.startswith("coldframe."):
            continue
        for name in [*names_of(thing), "anything"]:
            try:
                setattr(thing, name, None)
            except (AttributeError, TypeError):
                continue
            took.append(f"{way}.{name}")
    return took


def containers(found: Mapping[int, tuple[str, object]]) -> list[str]:
    return [way for way, thing in found.values() if isinstance(thing, list | dict | set | bytearray)]


def test_s12_nothing_of_the_core_is_reached_from_a_view() -> None:
    made, actor = world()

    def look(event: object, view: StrategyView) -> None:
        found = reached(view, asked)
        ways = {way for way, _ in found.values()}
        assert {
            "it.orders",
            "it.orders[0]",
            "it.instrument.filters.lot",
            "it.book",
            "it.state['ladder'][0]['done']",
            "it.candles[0]",
        } <= ways
        assert machines(found) == []
        assert writable(found) == []
        # Levels of a book are a list, made for this one answer.
        assert {way.rpartition(".")[2] for way in containers(found)} <= {"bids", "asks"}
        assert view.book("BTCUSDT").bids(5) is not view.book("BTCUSDT").bids(5)

    during(made, actor, look)


def test_s12_a_walk_finds_what_is_left_open() -> None:
    """The walk itself sees a core object behind an underscore, a method, a closure, a container."""
    made, _ = world()
    order = next(iter(made.engine.orders.live))

    class Leaky:
        def __init__(self, secret: object) -> None:
            self._orders = [secret]
            self.call = lambda: secret

        def give(self) -> object:
            return self._orders[0]

    for leak in (Leaky(order), lambda: order, [order], {"a": (order,)}, Leaky(order).give):
        assert machines(reached(leak)) != []
    assert "it.quantity" in writable(reached(order))
    assert containers(reached(Leaky(1))) == ["it._orders"]


def events() -> list[StrategyEvent]:
    """One event of each kind that a stream brings."""
    found: list[StrategyEvent] = []
    for kind in (kind for kind in StreamKind if CASES[kind].payload):
        case = CASES[kind]
        name = StreamName.of(case.symbol, case.channel) if case.channel else parse(case.market)
        if kind not in BOOK_KINDS:
            (message,) = decode_stream(name, msgspec.json.encode(case.payload), Census())
            found.append(event_of(name.kind, message, 5))
    return found


def test_s12_nothing_of_an_event_can_be_changed() -> None:
    made, actor = world()
    made.fill(made.external_order("by-hand", Side.SELL, "1").client_order_id, "1")
    made.stop()
    seen = {type(event): event for event in [*events(), *actor.seen]}
    missing = {kind.__name__ for kind in get_args(StrategyEvent)} - {kind.__name__ for kind in seen}
    assert missing == set()
    for event in seen.values():
        found = reached(event)
        assert machines(found) == writable(found) == containers(found) == []


def test_s12_every_kind_of_event_is_frozen_and_has_no_dict() -> None:
    for kind in get_args(StrategyEvent):
        assert attrs.has(kind)
        assert not hasattr(kind, "__dict__") or "__dict__" not in kind.__slots__
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            kind.__setattr__(object.__new__(kind), "symbol", "ETHUSDT")


WRITES: dict[str, Callable[[Any], object]] = {
    "quantity": lambda view: [setattr(order, "quantity", D(0)) for order in view.orders()],
    "side": lambda view: setattr(view.orders()[0], "side", Side.SELL),
    "the word": lambda view: setattr(view.orders()[0].side, "_value_", "SELL"),
    "a list": lambda view: view.orders().clear(),
    "tick": lambda view: setattr(view.instrument("BTCUSDT").filters, "tick", D(7)),
    "lot": lambda view: setattr(view.instrument("BTCUSDT").filters.lot, "step", D(7)),
    "symbols": lambda view: view.symbols.append("ETHUSDT"),
    "view": lambda view: setattr(view, "position", lambda symbol: D(0)),
    "number": lambda view: setattr(view, "_number", 0),
    "book": lambda view: setattr(view.book("BTCUSDT"), "_key", ("ETHUSDT", False)),
    "state": lambda view: setattr(view.orders()[0], "state", OrderState.CANCELED),
    "a candle": lambda view: setattr(view.candles("BTCUSDT", "1m")[0], "close", D(7)),
    "candles": lambda view: view.candles("BTCUSDT", "1m").clear(),
    "saved": lambda view: view.state.__setitem__("since", "now"),
    "saved, deep": lambda view: view.state["ladder"][0].__setitem__("at", D(7)),
    "saved, a list": lambda view: view.state["ladder"][0]["done"].append(False),
    "saved, inside": lambda view: setattr(view.state["ladder"][0], "_values", ()),
    "saved, as a whole": lambda view: setattr(view, "state", None),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_s12_who_writes_to_what_it_is_given_keeps_its_limits(write: Callable[[Any], object]) -> None:
    made, actor = world()
    refused: list[str] = []

    def act(event: object, view: Any) -> list[object]:
        try:
            write(view)
        except (AttributeError, TypeError) as error:
            refused.append(str(error))
        # One more than the limit, with what is held and what rests.
        return [place(quantity="1.6", price="99")]

    actor.acts["on_wake"] = act
    made.wake(actor)
    assert len(refused) == 1
    assert made.verdicts(actor) == {"ACCEPTED": 3, "POSITION": 1}
    during(made, actor, lambda event, view: shows(view.state, SAVED))


def shows(state: object, saved: object) -> None:
    assert state == saved


def by_force(thing: Any, name: str, value: object) -> None:
    object.__setattr__(thing, name, value)


def test_s12_not_even_by_force_is_more_changed_than_a_copy() -> None:
    made, actor = world()

    def act(event: object, view: Any) -> list[object]:
        for order in view.orders():
            by_force(order, "quantity", D(0))
            by_force(order, "filled", D(0))
        rules = view.instrument("BTCUSDT")
        by_force(rules.filters, "tick", D("0.00001"))
        by_force(rules.filters.lot, "step", D("0.0000001"))
        by_force(view.state["ladder"][0], "_values", (D(7), ()))
        return [place(quantity="1.6", price="99"), place(quantity="0.1", price="99.00001")]

    actor.acts["on_wake"] = act
    made.wake(actor)
    assert made.verdicts(actor) == {"ACCEPTED": 3, "POSITION": 1, "FILTER": 1}
    assert frozen_of(made.engine.state.saved.text("mm")) == SAVED


# -- views that were kept ---------------------------------------------------------------------------------------------

OVER = "this view was made for a call that is over"
LOOKS: dict[str, Callable[[Any, Any], object]] = {
    "now_ms": lambda view, book: view.now_ms,
    "random": lambda view, book: view.random,
    "saved": lambda view, book: view.state,
    "symbols": lambda view, book: view.symbols,
    "position_mode": lambda view, book: view.position_mode,
    "instrument": lambda view, book: view.instrument("BTCUSDT"),
    "book": lambda view, book: view.book("BTCUSDT"),
    "mark_price": lambda view, book: view.mark_price("BTCUSDT"),
    "candles": lambda view, book: view.candles("BTCUSDT", "1m"),
    "position": lambda view, book: view.position("BTCUSDT"),
    "one side": lambda view, book: view.position("BTCUSDT", PositionSide.LONG),
    "entry_price": lambda view, book: view.entry_price("BTCUSDT"),
    "realized_pnl": lambda view, book: view.realized_pnl(),
    "unrealized_pnl": lambda view, book: view.unrealized_pnl(),
    "fees": lambda view, book: view.fees(),
    "funding": lambda view, book: view.funding(),
    "orders": lambda view, book: view.orders(),
    "trading_allowed": lambda view, book: view.trading_allowed("BTCUSDT"),
    "state": lambda view, book: book.state,
    "synced": lambda view, book: book.synced,
    "update_id": lambda view, book: book.update_id,
    "best_bid": lambda view, book: book.best_bid,
    "best_ask": lambda view, book: book.best_ask,
    "best_bid_quantity": lambda view, book: book.best_bid_quantity,
    "best_ask_quantity": lambda view, book: book.best_ask_quantity,
    "mid": lambda view, book: book.mid,
    "micro_price": lambda view, book: book.micro_price,
    "bids": lambda view, book: book.bids(1),
    "asks": lambda view, book: book.asks(1),
    "known_to": lambda view, book: book.known_to(Side.BUY),
}


def test_s12_a_kept_view_and_its_books_show_nothing_any_more() -> None:
    made, actor = world()
    kept: list[Any] = []
    during(made, actor, lambda event, view: kept.extend((view, view.book("BTCUSDT"))))
    for look in LOOKS.values():
        with pytest.raises(RuntimeError, match=OVER):
            look(*kept)
    # Nor during a later call, whose own view works.
    with pytest.raises(RuntimeError, match=OVER):
        during(made, actor, lambda event, view: LOOKS["position"](*kept))
    during(made, actor, lambda event, view: [look(view, view.book("BTCUSDT")) for look in LOOKS.values()])


def test_s12_every_member_of_a_view_was_looked_at() -> None:
    members = {name for kind in (StrategyView, LocalBookView) for name in vars(kind) if not name.startswith("_")}
    assert members - {"symbol"} <= set(LOOKS)


def test_s12_values_may_be_kept() -> None:
    made, actor = world()
    kept: list[Any] = []
    during(made, actor, lambda event, view: kept.extend((*view.orders(), view.instrument("BTCUSDT"))))
    before = [attrs.evolve(order) for order in kept]
    made.fill(kept[0].client_order_id, "0.5")
    assert kept == before
    assert (kept[0].filled, kept[0].remaining, kept[0].type) == (D("0.5"), D("0.5"), OrderType.LIMIT)


def test_s12_a_view_ends_also_when_its_hook_raises() -> None:
    made, actor = world()
    kept: list[Any] = []

    def act(event: object, view: Any) -> None:
        kept.append(view)
        raise ZeroDivisionError

    actor.acts["on_wake"] = act
    made.wake(actor)
    with pytest.raises(RuntimeError, match=OVER):
        _ = kept[0].now_ms


def test_s12_the_view_of_a_review_ends_with_it() -> None:
    kept: list[Any] = []

    class Watching(Actor):
        def review(self, intent: object, view: StrategyView) -> str | None:
            kept.append((view, view.position("BTCUSDT")))
            return None

    watching = Watching("watch")
    made = Scripted(watching).ready()
    made.want(watching, place())
    ((view, position),) = kept
    assert position == 0
    with pytest.raises(RuntimeError, match=OVER):
        view.orders()


def test_looking_at_a_position_makes_none() -> None:
    made, actor = world()
    during(made, actor, lambda event, view: view.position("NOSUCHUSDT", PositionSide.SHORT))
    assert set(made.engine.accounts["mm"].positions) == {("BTCUSDT", PositionSide.BOTH)}


def test_told_events_reach_sinks_as_values() -> None:
    made, _ = world()
    told = [effect for effect in made.effects if type(effect).__name__ == "Told"]
    assert {type(effect.event) for effect in told} == {OrderChanged, OrderFilled}  # type: ignore[union-attr]
    for effect in told:
        found = reached(effect)
        assert machines(found) == writable(found) == containers(found) == []
