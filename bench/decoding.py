"""Decoding: CPU time per message of ours beside bare msgspec, and what a key costs that a class does not know.

Bare is `msgspec` into the same classes, with nothing looked at afterwards. All ways take turns in one run, and of each the fastest
turn counts.

Usage: python bench/decoding.py [--turns N]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec

from coldframe.wire.account import AccountUpdate, OrderTradeUpdate
from coldframe.wire.api import parse_reply
from coldframe.wire.codec import Census, decode, decode_stream, decode_user
from coldframe.wire.frames import cut_envelope
from coldframe.wire.names import parse
from coldframe.wire.reference import RateLimit
from coldframe.wire.replies import OrderReply
from coldframe.wire.streams import AggTrade, BookTicker, DepthUpdate, Kline, MarkPrice

#: How often a way is gone in one turn.
CALLS = 1_000
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


def measure(ways: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """CPU microseconds per call."""
    best = dict.fromkeys(ways, float("inf"))
    for way in ways.values():
        way()
    for _ in range(turns):
        for name, way in ways.items():
            began = time.process_time()
            for _ in range(CALLS):
                way()
            best[name] = min(best[name], (time.process_time() - began) / CALLS * 1e6)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    turns = parser.parse_args().turns
    answer = f'{{"id":7,"status":200,"result":{ORDER},"rateLimits":{LIMITS}}}'
    rows = {
        "ORDER_TRADE_UPDATE": (_bare(OrderTradeUpdate, REPORT), _user(REPORT), _user(_with_key(REPORT))),
        "answer to order.place": (_bare(Answer, answer), _answer(ORDER), _answer(_with_key(ORDER))),
        "bookTicker frame": (
            _bare(BookTicker, TICKER),
            _market("bnbusdt@bookTicker", TICKER),
            _market("bnbusdt@bookTicker", _with_key(TICKER)),
        ),
        "depth frame, 40 levels": (
            _bare(DepthUpdate, DEPTH),
            _market("btcusdt@depth", DEPTH),
            _market("btcusdt@depth", _with_key(DEPTH)),
        ),
    }
    account = ACCOUNT % (BALANCE, POSITION)
    rows |= {
        "aggTrade frame": (
            _bare(AggTrade, TRADE),
            _market("btcusdt@aggTrade", TRADE),
            _market("btcusdt@aggTrade", _with_key(TRADE)),
        ),
        "markPrice frame": (
            _bare(MarkPrice, MARK),
            _market("btcusdt@markPrice", MARK),
            _market("btcusdt@markPrice", _with_key(MARK)),
        ),
        "kline frame, key inside": (
            _bare(Kline, KLINE % BAR),
            _market("btcusdt@kline_1m", KLINE % BAR),
            _market("btcusdt@kline_1m", KLINE % _inside(BAR)),
        ),
        "ACCOUNT_UPDATE, key in its positions": (
            _bare(AccountUpdate, account),
            _user(account),
            _user(ACCOUNT % (BALANCE, _inside(POSITION))),
        ),
    }
    for name, (bare, ours, key) in rows.items():
        best = measure({"bare": bare, "ours": ours, "key": key}, turns)
        print(f"{name}: bare msgspec           {best['bare']:7.2f} us CPU per message")
        print(f"{name}: coldframe              {best['ours']:7.2f} us CPU per message")
        print(f"ratio {best['ours'] / best['bare']:7.1f}")
        print(f"{name}: with an unknown key    {best['key']:7.2f} us CPU per message")
        print(f"ratio {best['key'] / best['ours']:7.2f}")


if __name__ == "__main__":
    main()
