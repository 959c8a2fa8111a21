"""picows on uvloop, and msgspec into structs: about the least that Python code can cost."""

from __future__ import annotations

import asyncio

import msgspec
import picows
import uvloop
from measuring import Given, Listening

Level = tuple[str, str]


class Depth(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    s: str
    pu: int
    u: int
    b: list[Level]
    a: list[Level]


class Trade(msgspec.Struct, tag_field="e", tag="aggTrade"):
    s: str
    p: str
    q: str


class Best(msgspec.Struct, tag_field="e", tag="bookTicker"):
    s: str
    b: str
    a: str


class Frame(msgspec.Struct):
    data: Depth | Trade | Best


class Client(picows.WSListener):  # type: ignore[misc]
    def __init__(self, listening: Listening) -> None:
        self._listening, self._decode = listening, msgspec.json.Decoder(Frame).decode

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        message, listening = self._decode(frame.get_payload_as_memoryview()).data, self._listening
        if isinstance(message, Depth):
            listening.depth(message.s, message.pu, message.u, message.b, message.a)
            return
        first, second = (message.p, message.q) if isinstance(message, Trade) else (message.b, message.a)
        listening.last = float(first) + float(second)
        listening.marks.small()


async def main() -> None:
    given = Given()
    listening = Listening(given)
    transport, _ = await picows.ws_connect(lambda: Client(listening), given.url, ssl_context=given.tls)
    await transport.wait_disconnected()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main())
