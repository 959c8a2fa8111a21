"""The relay: every byte passes, whole messages are seen however the bytes are cut, and what is withheld never arrives."""

from __future__ import annotations

import attrs
import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as some
from trio_websocket import ConnectionClosed
from wsproto.frame_protocol import FrameProtocol, Opcode

from tests.campaigns.relay import Frames, Passing, Relay, Withheld
from tests.campaigns.setting import Sent
from tests.exchange_server.links.cable import Rest, api, running, stream

HEAD = b"GET /ws-fapi/v1 HTTP/1.1\r\nhost: x\r\n\r\n"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000.0"}


@given(some.lists(some.text(max_size=300), max_size=5), some.booleans(), some.integers(1, 70_000), some.integers(1, 50))
def test_messages_are_read_however_their_bytes_are_cut(texts: list[str], masked: bool, long: int, step: int) -> None:
    texts = [*texts, "x" * long]
    sender = FrameProtocol(client=masked, extensions=[])
    cable = HEAD + b"".join(bytes(sender.send_data(text, fin=True)) for text in texts) + bytes(sender.ping(b"1"))
    frames = Frames()
    size = max(len(cable) // step, 1)
    got = [text for begin in range(0, len(cable), size) for text in frames.feed(cable[begin : begin + size])]
    assert got == [text.encode() for text in texts]
    assert frames.head == HEAD
    assert Opcode.TEXT == 1


@attrs.define
class Withholding(Sent):
    """Withholds one message."""

    what: bytes = b""

    async def before(self, passing: Passing) -> None:
        if self.what in passing.text:
            raise Withheld


async def test_orders_are_counted_when_passed_on_not_when_withheld() -> None:
    watcher = Withholding(what=b'"two"')
    async with running() as (_, address), trio.open_nursery() as nursery:
        port = await nursery.start(Relay(address.port, watcher).serve)
        through = attrs.evolve(
            address, rest=f"http://127.0.0.1:{port}", streams=f"ws://127.0.0.1:{port}", api=f"ws://127.0.0.1:{port}/ws-fapi/v1"
        )
        async with Rest(through) as rest, api(through) as line, stream(through, "/public/ws/btcusdt@bookTicker") as market:
            assert (await market.next())["e"] == "bookTicker"
            placed = await line.ask("order.place", **line.signed(**ORDER, newClientOrderId="one"))
            assert placed["status"] == 200
            with pytest.raises(ConnectionClosed):
                await line.ask("order.place", **line.signed(**ORDER, newClientOrderId="two"))
            rows = await rest.call("GET", "/fapi/v1/openOrders")
            assert [row["clientOrderId"] for row in rows] == ["one"]
            assert dict(watcher.placed) == {"one": 1}
            assert msgspec.json.encode(placed["result"]["clientOrderId"]) == b'"one"'
        nursery.cancel_scope.cancel()
