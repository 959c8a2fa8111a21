"""Every payload of the streams and every private event as a strict client reads it: keys, types and words of each event."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.wire.codec import encode
from tests.exchange.endpoints.test_parameters import ALGO
from tests.exchange.endpoints.test_strict_bodies import (
    LISTED,
    ORDER_TYPES,
    STATUSES,
    TIMES_IN_FORCE,
    Check,
    _lively,
    decimal,
    flag,
    integer,
    number,
    text,
    words,
)
from tests.exchange.endpoints.test_strict_bodies import anything as nested
from tests.exchange.rig import SYMBOL, Rig
from tests.exchange_server.links.test_seed_streams import FORMS

T0 = 1_700_000_000_000
LETTERS: dict[str, Check] = {
    "S": text,
    "D": decimal,
    "I": integer,
    "B": flag,
    "N": number,
    "O": nested,
    "any": lambda value: type(value) is int,
}
SIDE, POSITION = words("BUY SELL"), words("BOTH LONG SHORT")
SESSIONS = words("PRE_MARKET REGULAR AFTER_MARKET OVERNIGHT NO_TRADING")
STP = words("NONE EXPIRE_TAKER EXPIRE_MAKER EXPIRE_BOTH")
MATCH = words("NONE OPPONENT OPPONENT_5 QUEUE QUEUE_5 QUEUE_10 QUEUE_20")
WORKING = words("CONTRACT_PRICE MARK_PRICE")
CONTRACTS = words("PERPETUAL CURRENT_QUARTER NEXT_QUARTER TRADIFI_PERPETUAL")

#: Event to its keys; a key with a type behind it (`E:I`), keys in brackets may be missing. Words have a check of their own below.
EVENTS = {
    "aggTrade": "e:S E:I st:I s:S a:I p:D q:D nq:D f:I l:I T:I m:B",
    "markPriceUpdate": "e:S E:I st:I s:S p:D ap:D i:D P:D r:D T:I",
    "kline": "e:S E:I s:S k:O",
    "continuous_kline": "e:S E:I ps:S ct k:O",
    "24hrMiniTicker": "e:S E:I st:I s:S ps:S c:D o:D h:D l:D v:D q:D",
    "24hrTicker": "e:S E:I st:I s:S ps:S p:D P:D w:D c:D Q:D o:D h:D l:D v:D q:D O:I C:I F:I L:I n:I",
    "bookTicker": "e:S u:I st:I s:S ps:S b:D B:D a:D A:D T:I E:I",
    "forceOrder": "e:S E:I st:I [ps:S] o:O",
    "depthUpdate": "e:S E:I T:I st:I s:S ps:S U:I u:I pu:I b:O a:O",
    "compositeIndex": "e:S E:I s:S p:D C c:O",
    "contractInfo": "e:S E:I s:S [ps:S] ct dt:I ot:I cs [bks:O] st:I",
    "assetIndexUpdate": "e:S E:I s:S i:D b:D a:D B:D A:D q:D g:D Q:D G:D",
    **{
        f"{market}Update": "e:S E:I t:I T:I S.session"
        for market in ("Equity", "Commodity", "KR_Equity", "HK_Equity", "CN_Equity", "FX")
    },
    "ORDER_TRADE_UPDATE": "e:S E:I T:I o:O",
    "TRADE_LITE": "e:S E:I T:I st:I s:S q:D p:D m:B c:S S L:D l:D t:I i:any",
    "ACCOUNT_UPDATE": "e:S E:I T:I a:O",
    "ACCOUNT_CONFIG_UPDATE": "e:S E:I T:I [ac:O] [ai:O]",
    "ALGO_UPDATE": "e:S E:I T:I o:O",
    "MARGIN_CALL": "e:S E:I [cw:D] p:O",
}
#: What stands inside: event and key to the keys of the object, or of the rows.
INSIDE = {
    ("kline", "k"): "t:I T:I s:S i.interval f:I L:I o:D c:D h:D l:D v:D n:I x:B q:D V:D Q:D B:S",
    ("continuous_kline", "k"): "t:I T:I i.interval f:I L:I o:D c:D h:D l:D v:D n:I x:B q:D V:D Q:D B:S",
    ("forceOrder", "o"): "s:S S o.type f.tif q:D p:D ap:D X.status l:D z:D T:I",
    ("compositeIndex", "c"): "b:S q:S w:D W:D i:D",
    ("contractInfo", "bks"): "bs:N bnf:N bnc:N mmr:N cf:N mi:N ma:N",
    ("ORDER_TRADE_UPDATE", "o"): (
        "s:S c:S S o.type f.tif q:D p:D ap:D sp:D x.execution X.status i:any [M:S] l:D z:D L:D [N:S] [n:D] T:I t:I b:D a:D m:B R:B"
        " wt ot.type ps.side cp:B rp:D pP:B si:I ss:I V pm gtd:I er.reason st:I [AP:D] [cr:D]"
    ),
    ("ACCOUNT_UPDATE", "a"): "m.cause B:O [P:O] [S:S]",
    ("ACCOUNT_CONFIG_UPDATE", "ac"): "s:S l:I",
    ("ACCOUNT_CONFIG_UPDATE", "ai"): "j:B",
    ("ALGO_UPDATE", "o"): (
        "caid:S aid:I at.algo o.type s:S S ps.side f.tif q:D X.algoStatus ai:S [ap:D] [aq:D] [act:S] tp:D p:D V wt pm cp:B pP:B R:B"
        " tt:I gtd:I rm:S [ia:B] [AP:D] [cr:D]"
    ),
    ("MARGIN_CALL", "p"): "s:S ps.side pa:D mt.margin iw:D mp:D up:D mm:D",
}
WORDS: dict[str, Check] = {
    "S": SIDE,
    "session": SESSIONS,
    "ct": CONTRACTS,
    "cs": LISTED,
    "C": words("baseAsset"),
    "interval": words("1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M"),
    "type": words(ORDER_TYPES),
    "tif": TIMES_IN_FORCE,
    "status": STATUSES,
    "execution": words("NEW CANCELED CALCULATED EXPIRED TRADE AMENDMENT"),
    "side": POSITION,
    "reason": words("0 1 2 3 4 5 6 7 8 9"),
    "cause": words("ORDER FUNDING_FEE MARGIN_TRANSFER MARGIN_TYPE_CHANGE INSURANCE_CLEAR"),
    "algo": words("CONDITIONAL"),
    "algoStatus": words("NEW TRIGGERING TRIGGERED FINISHED CANCELED REJECTED EXPIRED"),
    "margin": words("CROSSED ISOLATED"),
    "wt": WORKING,
    "pm": MATCH,
    "V": STP,
}


def shape(listed: str) -> tuple[dict[str, Check], set[str]]:
    """The check of each key in a list, and the keys that must be there."""
    checks: dict[str, Check] = {}
    needed: set[str] = set()
    for item in listed.split():
        bare = item.strip("[]")
        name, _, kind = bare.partition(":") if ":" in bare else bare.partition(".")
        checks[name] = LETTERS[kind] if ":" in bare else WORDS[kind or name]
        needed |= set() if item.startswith("[") else {name}
    return checks, needed


def faults(event: dict[str, Any]) -> Iterator[str]:
    """Everything in an event that a strict client would refuse."""
    kind = event.get("e")
    if kind not in EVENTS:
        yield f"{kind!r} is not a known event"
        return
    yield from _compared(kind, EVENTS[kind], event)
    for (owner, name), listed in INSIDE.items():
        inner = event.get(name) if owner == kind else None
        for row in inner if isinstance(inner, list) else [inner] if inner is not None else []:
            yield from _compared(f"{kind}.{name}", listed, row)


def _compared(where: str, listed: str, body: dict[str, Any]) -> Iterator[str]:
    checks, needed = shape(listed)
    yield from (f"{where} lacks {name}" for name in sorted(needed - set(body)))
    for name, value in body.items():
        check = checks.get(name)
        if check is None:
            yield f"{where}.{name} is unknown"
        elif not check(value):
            yield f"{where}.{name} = {value!r}"


class Ear:
    """Hears every stream."""

    backlog = 0

    def __init__(self) -> None:
        self.heard: dict[str, list[Any]] = {}

    def offer(self, publication: Publication) -> None:
        kept = self.heard.setdefault(publication.name, [])
        if len(kept) < 40:
            kept.append(msgspec.json.decode(publication.payload))


@pytest.fixture(scope="module")
def heard() -> dict[str, list[Any]]:
    """Some payloads of every stream, out of half a minute of a lively market."""
    market = SyntheticMarket(Settings(), T0, {}, Random)
    streams = Streams(symbol_market.public_data for symbol_market in market.markets.values())
    market.bind(streams, lambda symbol, met: None)
    ear = Ear()
    for name in (*FORMS, "btcusdt@trade", "btcusdt@rpiDepth@500ms", "tradingSession"):
        streams.subscriptions.add(name, ear)
    for at_ms in range(T0, T0 + 40_000, 50):
        market.advance(at_ms)
        streams.tick(at_ms)
    return ear.heard


@pytest.mark.scene
def test_every_stream_has_spoken(heard: dict[str, list[Any]]) -> None:
    assert set(FORMS) - set(heard) == set()


@pytest.mark.scene
def test_a_strict_client_can_read_every_payload(heard: dict[str, list[Any]]) -> None:
    for name, payloads in heard.items():
        if name == "btcusdt@trade":  # documented nowhere (protocol.md 4.1)
            continue
        for payload in payloads:
            for event in payload if isinstance(payload, list) else [payload]:
                assert list(faults(event)) == [], name


def test_levels_are_pairs_of_decimals(heard: dict[str, list[Any]]) -> None:
    for name in ("btcusdt@depth", "btcusdt@depth5", "btcusdt@rpiDepth@500ms"):
        for event in heard[name]:
            levels = event["b"] + event["a"]
            assert all(len(level) == 2 and all(map(decimal, level)) for level in levels)


def private_events() -> list[dict[str, Any]]:
    """Private events of every kind that an account of the world of the parameters gets, and of an account that is liquidated."""
    rig = _lively()
    rig.call("POST /fapi/v1/algoOrder", **{**ALGO, "side": "SELL", "type": "TRAILING_STOP_MARKET", "callbackRate": "1"})
    rig.call("POST /fapi/v1/leverage", symbol=SYMBOL, leverage=7)
    rig.call("DELETE /fapi/v1/allOpenOrders", symbol=SYMBOL)
    rig.call("DELETE /fapi/v1/algoOpenOrders", symbol=SYMBOL)
    events = rig.events()
    poor = Rig(accounts=(VenueAccount(name="a", balance=Decimal(100), leverage=100),))
    poor.book(quantity="5")
    poor.place("BUY", "5")
    for mark in ("985.0", "984.0", "979.0"):
        poor.mark(mark)
        poor.pass_ms(1000)
    return [msgspec.json.decode(encode(event)) for event in [*events, *poor.events()]]


def test_a_strict_client_can_read_every_private_event() -> None:
    events = private_events()
    assert {event["e"] for event in events} >= {name for name in EVENTS if name.isupper()}
    for event in events:
        assert list(faults(event)) == []
        change = event.get("a")
        if event["e"] == "ACCOUNT_UPDATE":
            for row in change["B"]:
                assert list(_compared("B", "a:S wb:D cw:D bc:D", row)) == []
            for row in change.get("P", []):
                listed = "s:S pa:D ep:D bep:D cr:D up:D mt iw:D ps.side [ma:S]"
                assert list(_compared("P", listed.replace("mt", "mt:S"), row)) == []
                assert row["mt"] in ("cross", "isolated")


def test_what_is_not_as_it_should_be_is_found() -> None:
    good = {"e": "aggTrade", "E": 1, "st": 1, "s": "A", "a": 1, "p": "1.0", "q": "1", "nq": "1", "f": 1, "l": 1, "T": 1, "m": True}
    assert list(faults(good)) == []
    for wrong in ({"p": 1.0}, {"p": "1e-7"}, {"a": 2**53}, {"m": "true"}, {"new": 1}, {"e": "trade"}, {"E": "1"}):
        assert list(faults(good | wrong))
    assert list(faults({name: value for name, value in good.items() if name != "T"}))
