"""Decode: CPU time per message of the codec beside bare msgspec, and what a key costs that a class does not know.

Bare is `msgspec` into the same classes, with nothing looked at afterwards. First what links bring most, with its envelope, then
every class of the wire.

    python -m bench.decode
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from tests.wire.shapes import KINDS, example, written

from bench.rounds import arguments, in_turn, machine, table
from coldframe.wire.account import AccountUpdate, OrderTradeUpdate
from coldframe.wire.api import parse_reply
from coldframe.wire.codec import Census, decode, decode_stream, decode_user
from coldframe.wire.frames import cut_envelope
from coldframe.wire.names import parse
from coldframe.wire.reference import RateLimit
from coldframe.wire.replies import OrderReply
from coldframe.wire.streams import AggTrade, BookTicker, DepthUpdate, Kline, MarkPrice, Message

#: How often a way is gone in one turn.
CALLS = 200
REPORT = (
    '{"e":"ORDER_TRADE_UPDATE","E":1568879465651,"T":1568879465650,"o":{"s":"BTCUSDT","c":"TEST","S":"SELL","o":"LIMIT","f":"GTC",'
    '"q":"0.001","p":"7103.04","ap":"0","sp":"0","x":"NEW","X":"NEW","i":8886774,"l":"0","z":"0","L":"0","N":"USDT","n":"0",'
    '"T":1568879465650,"t":0,"b":"0","a":"9.91","m":false,"R":false,"wt":"CONTRACT_PRICE","ot":"LIMIT","ps":"BOTH","cp":false,'
    '"pP":false,"si":0,"ss":0,"rp":"0","V":"EXPIRE_TAKER","pm":"OPPONENT","gtd":0,"er":"0"}}'
)
ORDER = (
    '{"orderId":325078477,"symbol":"BTCUSDT","status":"NEW","clientOrderId":"iCXL1BywlBaf2sesNUrVl3","price":"43187.00",'
    '"avgPrice":"0.00","origQty":"0.100","executedQty":"0.000","cumQty":"0.000","cumQuote":"0.00000","timeInForce":"GTC",'
    '"type":"LIMIT","reduceOnly":false,"closePosition":false,"side":"BUY","positionSide":"BOTH","stopPrice":"0.00",'
    '"workingType":"CONTRACT_PRICE","priceProtect":false,"origType":"LIMIT","priceMatch":"NONE","selfTradePreventionMode":"NONE",'
    '"goodTillDate":0,"updateTime":1702555534435}'
)
LIMITS = (
    '[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300,"count":1},'
    '{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1200,"count":1}]'
)
TICKER = (
    '{"e":"bookTicker","u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000",'
    '"T":1568014460891,"E":1568014460893}'
)
TRADE = (
    '{"e":"aggTrade","E":1568014460893,"s":"BTCUSDT","a":5933014,"p":"60000.10","q":"0.100","f":100,"l":105,"T":1568014460891,'
    '"m":true}'
)
MARK = (
    '{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091","P":"11784.25641265",'
    '"r":"0.00038167","T":1562306400000}'
)
BAR = (
    '"t":1568014440000,"T":1568014499999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"60000.1","c":"60020.0","h":"60025.0",'
    '"l":"60000.0","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"0"'
)
KLINE = '{"e":"kline","E":1568014460893,"s":"BTCUSDT","k":{%s}}'
BALANCE = '"a":"USDT","wb":"122624.12345678","cw":"100.12345678","bc":"50.12345678"'
POSITION = (
    '"s":"BTCUSDT","pa":"0.5","ep":"60000.00000","bep":"60001","cr":"200","up":"0","mt":"isolated","iw":"0.00000000","ps":"BOTH"'
)
ACCOUNT = '{"e":"ACCOUNT_UPDATE","E":1564745798939,"T":1564745798938,"a":{"m":"ORDER","B":[{%s}],"P":[{%s}]}}'
LEVELS = [[f"{60_000 + number}.10", f"{number}.250"] for number in range(20)]
DEPTH = json.dumps(
    {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": 5, "u": 9, "pu": 4, "b": LEVELS, "a": LEVELS}, separators=(",", ":")
)


class Answer(msgspec.Struct):
    """The answer to order.place as one class, for the bare way."""

    id: int
    status: int
    result: OrderReply
    rateLimits: list[RateLimit]  # noqa: N815


def _frame(stream: str, payload: str) -> bytes:
    return f'{{"stream":"{stream}","data":{payload}}}'.encode()


def _market(stream: str, payload: str) -> Callable[[], object]:
    """What a market link does with a frame."""
    frame, name, census = _frame(stream, payload), parse(stream), Census()

    def way() -> object:
        cut = cut_envelope(frame)
        assert cut is not None
        return decode_stream(name, cut[1], census)

    return way


def _user(payload: str) -> Callable[[], object]:
    frame, census = payload.encode(), Census()
    return lambda: decode_user(frame, census)


def _answer(order: str) -> Callable[[], object]:
    frame, census = f'{{"id":7,"status":200,"result":{order},"rateLimits":{LIMITS}}}'.encode(), Census()

    def way() -> object:
        result = parse_reply(frame, census).result
        assert isinstance(result, msgspec.Raw)
        return decode(OrderReply, bytes(result), census)

    return way


def _bare(kind: Any, payload: str) -> Callable[[], object]:
    decoder, frame = msgspec.json.Decoder(kind), payload.encode()
    return lambda: decoder.decode(frame)


def _with_key(payload: str) -> str:
    return payload[:-1] + ',"zz":"0.5"}'


def _inside(text: str) -> str:
    """An unknown key more in an object inside a message."""
    return f'{text},"zz":"0.5"'


Row = tuple[Callable[[], object], Callable[[], object], Callable[[], object]]


def as_they_come() -> dict[str, Row]:
    """What links bring most: bare, through the codec with its envelope, and with a key that no class knows."""
    answer = f'{{"id":7,"status":200,"result":{ORDER},"rateLimits":{LIMITS}}}'
    account, other_account = ACCOUNT % (BALANCE, POSITION), ACCOUNT % (BALANCE, _inside(POSITION))
    rows = {
        "ORDER_TRADE_UPDATE": (_bare(OrderTradeUpdate, REPORT), _user(REPORT), _user(_with_key(REPORT))),
        "answer to order.place": (_bare(Answer, answer), _answer(ORDER), _answer(_with_key(ORDER))),
        "kline frame, key inside": (
            _bare(Kline, KLINE % BAR),
            _market("btcusdt@kline_1m", KLINE % BAR),
            _market("btcusdt@kline_1m", KLINE % _inside(BAR)),
        ),
        "ACCOUNT_UPDATE, key inside": (_bare(AccountUpdate, account), _user(account), _user(other_account)),
    }
    frames = {
        "bookTicker frame": (BookTicker, "bnbusdt@bookTicker", TICKER),
        "depth frame, 40 levels": (DepthUpdate, "btcusdt@depth", DEPTH),
        "aggTrade frame": (AggTrade, "btcusdt@aggTrade", TRADE),
        "markPrice frame": (MarkPrice, "btcusdt@markPrice", MARK),
    }
    for name, (kind, stream, payload) in frames.items():
        rows[name] = _bare(kind, payload), _market(stream, payload), _market(stream, _with_key(payload))
    return rows


def every_class() -> dict[str, Row]:
    """Every class of the wire with an example of all its fields."""
    rows = {}
    for kind in KINDS:
        payload = written(example(kind))
        rows[kind.__name__] = _bare(kind, payload), _codec(kind, payload), _codec(kind, _with_key(payload))
    return rows


def _codec(kind: type[Message], payload: str) -> Callable[[], object]:
    body, census = payload.encode(), Census()
    return lambda: decode(kind, body, census)


def main(words: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, rounds=15).parse_args(words)
    rounds, calls = (1, 1) if given.quick else (given.rounds, CALLS)
    print(f"{machine()}; us CPU per message")
    for rows in (as_they_come(), every_class()):
        lines = []
        for name, ways in rows.items():
            bare, ours, key = in_turn(dict(zip(("bare", "ours", "key"), ways, strict=True)), rounds, calls).values()
            lines.append([name, bare, ours, ours / bare, key, key / ours])
        print(table(["message", "bare msgspec", "coldframe", "ratio", "with an unknown key", "ratio"], lines))


if __name__ == "__main__":
    main()
