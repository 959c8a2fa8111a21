"""Everything that reads bytes of others, each with good inputs to mangle: the decoders of the wire, the engine, files, bodies.

A reader may raise what it declares, and nothing else.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import trio
from trio.testing import memory_stream_pair

from coldframe.core.connectivity.signing import signer_of_pem
from coldframe.core.strategies.contract_refresh import rows_of
from coldframe.errors import DecodeError, LinkRefused
from coldframe.exchange.mirror import Mirror
from coldframe.exchange_server import control
from coldframe.exchange_server.key_files import keys_for
from coldframe.model.instruments import Instruments
from coldframe.runtime import mirror as feeding
from coldframe.secret import Secret
from coldframe.trio_io import link
from coldframe.trio_io.batch import BatchStream
from coldframe.trio_io.body import Body
from coldframe.units import exact, scaled
from coldframe.wire import api, frames, names, recording, requests, rest, routes, strict
from coldframe.wire.codec import Census, decode, decode_list, decode_stream, decode_user, payload_class, user_event_classes
from coldframe.wire.reference import ExchangeInfo, ServerTime, SymbolInfo
from coldframe.wire.replies import AccountStatus, AlgoReply, OrderReply, PositionRow
from tests.campaigns.files import RECORDING, file_readers
from tests.campaigns.reader import Read, Reader
from tests.campaigns.world import World, mirrored
from tests.conftest import SHARED
from tests.exchange.rig import Rig, symbol_market
from tests.trio_io.peer import CLOSE, PING, TEXT, frame
from tests.wire.shapes import KINDS, example, written


def readers(chance: Random, folder: Path) -> list[Reader]:
    """All of them; files are written into `folder`."""
    return [
        *_classes(),
        *_streams(),
        *_envelopes(),
        *_texts(),
        *_bodies(),
        *file_readers(folder),
        _control(),
        _mirror(),
        _engine(chance),
    ]


# -- good inputs ------------------------------------------------------------------------------------------------------


def payloads() -> list[bytes]:
    """Payloads of all kinds: an example of each class, and what was captured, where that is at hand."""
    made = [written(example(kind)).encode() for kind in KINDS]
    file = SHARED / "data" / "messages.jsonl"
    if file.is_file():
        rows = [json.loads(line)["data"] for line in file.read_text(encoding="utf-8").splitlines()]
        made += [text for row in rows if len(text := json.dumps(row, separators=(",", ":")).encode()) < 5_000]
    return made


ANSWERS: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
    b'HTTP/1.1 418 \r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"code":\r\n0\r\n\r\n',
)
FAULTS: Final = (
    b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1700000999123."}',
    b'{"code":-2010,"msg":"no","data":{"retryAfter":5}}',
    b"<html>Service Unavailable</html>",
)
CONTROLS: Final = (
    b'{"method":"SUBSCRIBE","params":["btcusdt@aggTrade","btcusdt@depth"],"id":1}',
    b'{"method":"SET_PROPERTY","params":["combined",true],"id":5}',
    b'{"method":"LIST_SUBSCRIPTIONS","id":"abcdef01-2345"}',
    b'{"result":null,"id":1}',
    b'{"error":{"code":2,"msg":"Invalid request"},"id":1}',
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}',
)
REQUESTS: Final = (
    b'{"id":"9f","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.001","price":"42088.0",'
    b'"timeInForce":"GTC","reduceOnly":true,"goodTillDate":1700000000000,"timestamp":1,"signature":"x"}}',
    b'{"id":1,"method":"algoOrder.place","params":{"algoType":"CONDITIONAL","symbol":"BTCUSDT","side":"SELL","type":"STOP_MARKET",'
    b'"triggerPrice":"41000","closePosition":"true"}}',
    b'{"id":null,"method":"session.logon","params":{"apiKey":"k","timestamp":1}}',
    b'{"symbol":"BTCUSDT","orderId":5,"limit":"100","startTime":1700000000000,"leverage":20,"amount":"1.5","type":1}',
)


# -- the wire ---------------------------------------------------------------------------------------------------------


def _classes() -> Iterator[Reader]:
    for kind in KINDS:
        good = [written(example(kind)).encode()]
        yield Reader(kind.__name__, good, lambda data, kind=kind: decode(kind, data, Census()), share=8)  # type: ignore[misc]


#: One stream of every kind.
STREAMS: Final = (
    "btcusdt@aggTrade",
    "btcusdt@trade",
    "!markPrice@arr@1s",
    "btcusdt@kline_1m",
    "btcusdt_perpetual@continuousKline_1m",
    "!miniTicker@arr",
    "!ticker@arr",
    "!bookTicker",
    "!forceOrder@arr",
    "btcusdt@depth20@100ms",
    "btcusdt@depth",
    "btcusdt@rpiDepth@500ms",
    "defiusdt@compositeIndex",
    "!contractInfo",
    "!assetIndex@arr",
    "tradingSession",
)


def _streams() -> Iterator[Reader]:
    good = payloads()
    for text in STREAMS:
        name = names.parse(text)
        own = written(example(payload_class(name.kind))).encode()
        samples = [own, own, b"[%b,%b]" % (own, own), b"[]", random.Random(text).choice(good)]
        yield Reader(f"stream {text}", samples, lambda data, name=name: decode_stream(name, data, Census()), share=6)  # type: ignore[misc]
    events = [written(example(kind)).encode() for kind in user_event_classes().values()]
    wrapped = [head % event for head in (b'{"stream":"k","data":%b}', b'{"subscriptionId":0,"event":%b}') for event in events]
    yield Reader("user event", [*events, *events, *wrapped, *good[:20]], lambda data: decode_user(data, Census()), share=40)
    yield Reader("array", [b"[%b,%b]" % (row, row) for row in good], lambda data: decode_list(KINDS[0], data, Census()), share=10)
    yield Reader("plain JSON", good, strict.strictly, share=20)


def _envelopes() -> Iterator[Reader]:
    fault = b'{"id":7,"status":400,"error":{"code":-2010,"msg":"no"}}'
    yield Reader("API answer", [*ANSWERED, fault], _api_answer, share=40)
    yield Reader("API request", REQUESTS, api.parse_request, share=20)
    yield Reader("id of an API request", REQUESTS, api.readable_id, declared=())
    yield Reader("control request", CONTROLS, frames.parse_control, declared=(), share=20)
    yield Reader("control answer", CONTROLS, frames.parse_reply, share=10)
    yield Reader("combined frame", CONTROLS, frames.cut_envelope, declared=(), share=5)
    yield Reader("parameters", REQUESTS, _parameters, share=40)
    yield Reader("line of a recording", RECORDING.split(b"\n"), recording.parse_line, share=10)


def _answered() -> Iterator[bytes]:
    for kind in (OrderReply, AlgoReply, PositionRow, AccountStatus, ServerTime):
        limits = b'[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":1}]'
        yield b'{"id":7,"status":200,"result":%b,"rateLimits":%b}' % (written(example(kind)).encode(), limits)


ANSWERED: Final = tuple(_answered())


def _api_answer(data: bytes) -> None:
    """An answer, and its result as what a bot may take it for."""
    reply = api.parse_reply(data, Census())
    if isinstance(reply.result, msgspec.Raw):
        for kind in (OrderReply, AlgoReply):
            with suppress(DecodeError):
                decode(kind, bytes(reply.result), Census())


def _parameters(data: bytes) -> None:
    given = strict.loosely(data)
    if isinstance(given, dict):
        inner = given.get("params", given)
        try:
            strict.check_depth(inner)
        except ValueError:
            return  # `parse_request` refuses it
        for kind in _REQUEST_KINDS:
            requests.read(kind, inner if isinstance(inner, dict) else given)


_REQUEST_KINDS: Final = [
    kind
    for kind in vars(requests).values()
    if isinstance(kind, type) and issubclass(kind, requests.Request) and kind is not requests.Request
]


def _texts() -> Iterator[Reader]:
    def text(read: Callable[[str], object]) -> Read:
        return lambda data: read(data.decode("latin-1"))

    streams = [b"btcusdt@depth20@100ms", b"!markPrice@arr@1s", b"btcusdt_perpetual@continuousKline_1m", b"tradingSession"]
    targets = [
        b"/ws/btcusdt@aggTrade/a",
        b"/stream?streams=a/b/c",
        b"/private/ws?listenKey=K&events=A/B",
        b"/market/ws/%E5%B8%81@trade",
    ]
    numbers = [b"60000.10", b"0", b"-1.5", b"000.100", b"123456789012345678901234.123456789012345678"]
    yield Reader("stream name", streams, text(names.parse), declared=(ValueError,), share=5)
    yield Reader("stream address", targets, text(routes.parse_target), declared=(), share=5)
    yield Reader("exact number", numbers, text(exact), declared=(ValueError,), share=5)
    yield Reader("scaled number", numbers, text(scaled), declared=(ValueError,), share=5)


def _bodies() -> Iterator[Reader]:
    yield Reader("list of contracts", [_CONTRACT], _contracts, share=30)
    yield Reader("refusal of REST", FAULTS, _refusal, declared=(), share=10)
    yield Reader("refusal of a handshake", ANSWERS, _handshake, declared=(), share=5)
    talk = ANSWERS[0] + frame(TEXT, CONTROLS[3]) + frame(PING, b"1") + frame(TEXT, CONTROLS[5]) + frame(CLOSE, b"")
    yield Reader("market link", [*ANSWERS, talk, talk, talk], _batches, declared=(), share=3)
    pem = keys_for(["main"], None)[0].ed25519_private_pem
    yield Reader("private key of an account", [pem], _signer, declared=(ValueError,))
    packed = [gzip.compress(body, mtime=0) for body in (*FAULTS, RECORDING)]
    yield Reader("packed body", packed, _unpacked, declared=(LinkRefused,), share=5)


_CONTRACT: Final = json.dumps(
    {
        **{key: value for key, value in example(SymbolInfo).items() if key not in ("triggerProtect", "marketTakeBound")},
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "quoteAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "triggerProtect": "0.05",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.1", "maxPrice": "1000000", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.05", "multiplierDown": "0.95", "multiplierDecimal": "4"},
        ],
    }
).encode()


def _contracts(data: bytes) -> None:
    rows_of(b'{"symbols":[%b]}' % data, ("BTCUSDT", "text"))
    row = decode(SymbolInfo, data, Census())
    Instruments.of([row])
    Mirror().feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[row]))


def _refusal(data: bytes) -> None:
    text = data[:40].decode("latin-1")
    for status in (200, 400, 418, 429, 503):
        answer = rest.Answer(status, {"retry-after": text, "x-mbx-used-weight-1m": text}, data)
        until_ms = rest.ban_end_ms(answer, 1_700_000_000_000)
        assert until_ms is None or until_ms <= 1_700_000_000_000 + rest.LONGEST_BAN_MS
        rest.outcome_class(status, answer.fault)
        _ = answer.used_weight_1m


def _handshake(data: bytes) -> None:
    link._refusal(link.LinkAddress("venue", 443, "/private/ws/secret-listen-key"), data, 1_700_000_000_000)


def _batches(data: bytes) -> None:
    """A market link: the answer to the handshake, then frames, in pieces."""

    async def listen() -> None:
        there, here = memory_stream_pair()
        batches: list[list[bytes]] = []
        stream = BatchStream(here, batches.append, 70_000)
        stream.begin()
        await there.send_all(data[:100])
        await there.send_all(data[100:])
        await there.send_eof()
        while await stream.receive_some(1_000):
            pass
        for message in chain.from_iterable(batches):
            message.decode()

    trio.run(listen)


def _signer(data: bytes) -> None:
    signer_of_pem(Secret("key"), Secret(data.decode("latin-1"))).sign(b"text")


def _unpacked(data: bytes) -> None:
    body = Body("gzip")
    for at in range(0, len(data), 50):
        body.append(data[at : at + 50])
    body.whole()


# -- markets -----------------------------------------------------------------------------------------------------------


#: Changes that a running venue can be asked for.
CHANGES: Final = (
    b'{"what":"tick","value":"0.5","symbol":"BTCUSDT"}',
    b'{"what":"listing","value":"delisted","symbol":"BTCUSDT","account":""}',
    b'{"what":"leverage","value":"7","symbol":"BTCUSDT","account":"a"}',
    b'{"what":"brackets","value":"0.5","symbol":"BTCUSDT"}',
    b'{"what":"funding_interval_h","value":"4","symbol":"BTCUSDT"}',
    b'{"what":"position_mode","value":"hedge","account":"a"}',
)
_CHANGES_A_VENUE: Final = 50


def _control() -> Reader:
    """The local control call of a running venue; after some changes comes a new venue."""
    asked, rig = count(), Rig(symbol_market())

    def ask(data: bytes) -> None:
        nonlocal rig
        if next(asked) % _CHANGES_A_VENUE == 0:
            rig = Rig(symbol_market())
            rig.book()
            rig.place("BUY", "2")
            rig.place("BUY", "3", "990.0")
        control.answer(data[: control.LONGEST_LINE], lambda change: rig.exchange.change(change, rig.now_ms))
        rig.pass_ms(1_000)

    return Reader("control call", CHANGES, ask, declared=(), share=5)


def _mirror() -> Reader:
    """A mirrored market that goes on whatever it is fed."""
    mirror, lines = Mirror(), [*RECORDING.split(b"\n"), b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}']
    row = decode(SymbolInfo, _CONTRACT, Census())
    mirror.feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[row]))
    mirrored(mirror)

    def feed(data: bytes) -> None:
        line: Any = recording.parse_line(data)
        if isinstance(line.snapshot, str):
            mirror.feed_snapshot(line.snapshot, line.payload)
            feeding._feed_snapshot(mirror, line.snapshot, line.payload)
        else:
            mirror.feed(line.stream, line.payload)
            feeding._feed(mirror, data)

    return Reader("mirrored market", lines, feed, share=40)


def _engine(chance: Random) -> Reader:
    """The engine of a bot that trades: the world mangles what its links have brought."""
    world = World(chance)
    return Reader("engine", [b""], lambda data: world.take(), declared=(), share=200)
