"""The life of a listen key."""

from __future__ import annotations

import msgspec

from coldframe.exchange.endpoints.listenkeys import ListenKeys
from coldframe.wire.requests import Fault
from tests.exchange.rig import Rig
from tests.randomness import randomness


def test_an_account_has_one_key_that_use_extends() -> None:
    keys = ListenKeys(1000, randomness().token)
    key = keys.start("a", 0)
    assert keys.start("a", 500) == key
    assert keys.start("b", 500) != key
    assert keys.expire(1499) == []
    assert keys.extend("a", 1499) == key
    assert [account for account, _ in keys.expire(2000)] == ["b"]
    assert keys.expire(2499) == [("a", key)]
    assert keys.key_of("a") is None
    assert isinstance(keys.extend("a", 2500), Fault)
    assert keys.start("a", 2500) != key


def test_deleting_a_key_deletes_it_for_every_client() -> None:
    keys = ListenKeys(1000, randomness().token)
    key = keys.start("a", 0)
    assert keys.stop("a") == key
    assert keys.key_of("a") is None
    assert isinstance(keys.stop("a"), Fault)


def test_the_end_of_a_key_is_told_and_then_it_is_silent() -> None:
    rig = Rig(listen_key_lifetime_s=1)
    rig.book()
    key = rig.exchange.listen_keys.start("a", rig.now_ms)
    rig.place("BUY", "1", "990.0")
    (event,) = rig.exchange.take_private()
    assert (event.listen_key, event.kind) == (key, "ORDER_TRADE_UPDATE")
    rig.pass_ms(1000)
    (event,) = rig.exchange.take_private()
    assert msgspec.json.decode(event.payload) == {"e": "listenKeyExpired", "E": rig.now_ms, "listenKey": key}
    rig.place("BUY", "1", "990.0")
    assert rig.exchange.take_private() == []
