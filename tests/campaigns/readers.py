"""Everything that reads bytes of others, each with good inputs to mangle: the decoders of the wire, the engine, recordings, bodies.

A reader may raise what it declares, and nothing else.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs
import msgspec

from coldframe.compression import zstd_module
from coldframe.core.listing import rows_of
from coldframe.errors import ConfigError, DecodeError, LinkRefused
from coldframe.model.instruments import Instruments
from coldframe.runtime.tapes import describe_tape, verify_tape
from coldframe.shell import link
from coldframe.shell.body import Body
from coldframe.units import exact, scaled
from coldframe.venue.mirror import Mirror
from coldframe.venue.outline import outline
from coldframe.wire import api, frames, names, requests, rest, routes, strict, tape
from coldframe.wire.codec import Census, decode, decode_list, decode_stream, decode_user
from coldframe.wire.reference import ExchangeInfo, SymbolInfo
from tests.campaigns.world import World, mirrored
from tests.conftest import SHARED
from tests.wire.shapes import KINDS, example, written

Read = Callable[[bytes], object]


@attrs.frozen
class Reader:
    """One reader: good inputs, what it does with bytes, what it may raise, and how many of a thousand inputs are for it."""

    name: str
    samples: Sequence[bytes]
    read: Read
    declared: tuple[type[Exception], ...] = (DecodeError,)
    share: int = 1


def readers(chance: Random, folder: Path) -> list[Reader]:
    """All of them; files are written into `folder`."""
    return [*_classes(), *_streams(), *_envelopes(), *_texts(), *_bodies(), *_files(folder), _mirror(), _engine(chance)]


# -- good inputs ------------------------------------------------------------------------------------------------------


def payloads() -> list[bytes]:
    """Payloads of all kinds: an example of each class, and what was captured, where that is at hand."""
    made = [written(example(kind)).encode() for kind in KINDS]
    file = SHARED / "data" / "messages.jsonl"
    if file.is_file():
        rows = [json.loads(line)["data"] for line in file.read_text(encoding="utf-8").splitlines()]
        made += [text for row in rows if len(text := json.dumps(row, separators=(",", ":")).encode()) < 5_000]
    return made


TAPE: Final = b"\n".join(
    [
        b'{"t":1700000000000000000,"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000000,"T":1700000000000,'
        b'"s":"BTCUSDT","U":1,"u":5,"pu":0,"b":[["60000.1","1.5"]],"a":[["60001.0","2"]]}}',
        b'{"t":1700000000100000000,"snapshot":"BTCUSDT","data":{"lastUpdateId":4,"bids":[["60000.0","1"]],"asks":[["60001.0","1"]]}}',
        b'{"t":1700000000200000000,"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"60000.1","B":"1",'
        b'"a":"60001.0","A":"2","T":1700000000000,"E":1700000000000}}',
        b'{"t":1700000000300000000,"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000200,"T":1700000000200,'
        b'"s":"BTCUSDT","U":6,"u":9,"pu":5,"b":[["60000.1","0"]],"a":[]}}',
        b'{"t":1700000000400000000,"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1,"s":"BTCUSDT","a":1,"p":"60000.1",'
        b'"q":"0.1","f":1,"l":1,"T":1,"m":true}}',
        b'{"t":1700000000500000000,"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"60000",'
        b'"i":"60000","P":"60000","r":"0.0001","T":1}}',
    ]
)
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


def _streams() -> Iterator[Reader]:
    good = payloads()
    for text in ("btcusdt@aggTrade", "btcusdt@depth", "!ticker@arr", "btcusdt@kline_1m", "!contractInfo", "!markPrice@arr@1s"):
        name = names.parse(text)
        yield Reader(f"stream {text}", good, lambda data, name=name: decode_stream(name, data, Census()), share=10)  # type: ignore[misc]
    yield Reader("user event", good, lambda data: decode_user(data, Census()), share=40)
    yield Reader(
        "array", [b"[%b,%b]" % (element, element) for element in good], lambda data: decode_list(KINDS[0], data, Census()), share=10
    )
    yield Reader("plain JSON", good, strict.strictly, share=20)


def _envelopes() -> Iterator[Reader]:
    good = [*CONTROLS, *REQUESTS, *payloads()]
    yield Reader("API answer", good, _api_answer, share=40)
    yield Reader("API request", good, api.parse_request, share=20)
    yield Reader("id of an API request", good, api.readable_id, declared=())
    yield Reader("control request", CONTROLS, frames.parse_control, declared=(), share=20)
    yield Reader("control answer", CONTROLS, frames.parse_reply, share=10)
    yield Reader("combined frame", CONTROLS, frames.cut_envelope, declared=(), share=5)
    yield Reader("parameters", REQUESTS, _parameters, share=40)
    yield Reader("line of a recording", TAPE.split(b"\n"), tape.parse_line, share=10)


def _api_answer(data: bytes) -> None:
    for frame in (data, b'{"id":1,"status":200,"result":%b}' % data):
        reply = api.parse_reply(frame, Census())
        if isinstance(reply.result, msgspec.Raw):
            bytes(reply.result).decode()


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
    packed = [gzip.compress(member, mtime=0) for member in (*FAULTS, TAPE)]
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
    link._refusal(link.Address("venue", 443, "/private/ws/secret-listen-key"), data, 1_700_000_000_000)


def _unpacked(data: bytes) -> None:
    body = Body("gzip")
    for at in range(0, len(data), 50):
        body.take(data[at : at + 50])
    body.whole()


# -- files and markets ------------------------------------------------------------------------------------------------


def _files(folder: Path) -> Iterator[Reader]:
    path = folder / "fuzzed.jsonl"

    def play(data: bytes) -> None:
        path.write_bytes(data)
        for use in (outline, describe_tape, verify_tape):
            use(path)

    packed = [
        TAPE,
        gzip.compress(TAPE, mtime=0),
        zstd_module("").compress(TAPE),
        b"\x50\x2a\x4d\x18\0\0\0\0" + zstd_module("").compress(TAPE),
    ]
    yield Reader("recording", [*[TAPE] * 4, *packed], play, declared=(ConfigError,), share=20)


def _mirror() -> Reader:
    """A mirrored market that goes on whatever it is fed."""
    mirror, lines = Mirror(), TAPE.split(b"\n")
    row = decode(SymbolInfo, _CONTRACT, Census())
    mirror.feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[row]))
    mirrored(mirror)

    def feed(data: bytes) -> None:
        line: Any = tape.parse_line(data)
        if isinstance(line.snapshot, str):
            mirror.feed_snapshot(line.snapshot, line.payload)
        else:
            mirror.feed(line.stream, line.payload)

    return Reader("mirrored market", lines, feed, share=40)


def _engine(chance: Random) -> Reader:
    """The engine of a bot that trades: the world mangles what its links have brought."""
    world = World(chance)
    return Reader("engine", [b""], lambda data: world.take(), declared=(), share=200)
