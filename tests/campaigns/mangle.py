"""Mangled copies of good inputs: bytes cut out, doubled, flipped or replaced, odd values in the place of good ones, grafts.

The same seed gives the same copies. No copy is longer than `LONGEST`, so that a campaign measures readers and not the generator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

LONGEST: Final = 1 << 16

NUMBERS: Final = (
    *(b"0", b"-0", b"-1", b"1.5", b"1e5", b"1E-5", b"0.1e1", b"1e400", b"1e-400", b"0e400", b"1e999999", b"1e-999999999999999999"),
    *(b"1e-99999999999999999999", b"0e99999999999999999999", b"0e-999999999999999999", b"-1e99999999999999999999"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616"),
    *(b"1" * 30, b"1" * 400, b"9" * 4300, b"9" * 4301, b"9" * 20_000, b"0." + b"0" * 400 + b"1", b"1." + b"3" * 5000),
    *(b"NaN", b"Infinity", b"-Infinity", b"+1", b"01", b"1.", b".5", b"0x10", b"1_0", b"1e", b"--1"),
)
TEXTS: Final = (
    *(b'""', b'"0"', b'"-1"', b'"NaN"', b'"sNaN"', b'"Infinity"', b'"1e999999"', b'"1e5"', b'"1_0"', b'" 1"', b'"1 "', b'"+1"'),
    *(b'"\xd9\xa1"', b'"\xef\xbc\x91"', b'"1\\n"', b'"1\\u0000"', b'"0.0000000000000000001"', b'"999999999999999999999999"'),
    *(
        b'"%b"' % (b"1" * 10_000),
        b'"0.%b1"' % (b"0" * 10_000),
        b'"99999999999999999999999999.9"',
        b'"-0.000"',
        b'"18446744073709551616"',
    ),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"\\x"', b'"\x00"', b'"\\u0000"', b'"\\""', b'"a\\":1"'),
    *(b'"BUY"', b'"LIQUIDATION"', b'"NEW"', b'"FILLED"', b'"BTCUSDT"', b'"true"', b'"null"', b'"%b"' % (b"x" * 30_000)),
)
OTHERS: Final = (
    *(b"null", b"true", b"false", b"[]", b"{}", b"[[]]", b"[null]", b"[{}]", b'{"a":1}', b'{"a":1,"a":1}', b'[["1","2"]]'),
    *(b"[" * 64 + b"]" * 64, b"[" * 900 + b"]" * 900, b"[" * 20_000, b'{"a":' * 900 + b"1" + b"}" * 900, b'{"a":' * 5000),
)
KEYS: Final = (
    *(
        b'"zz":1,',
        b'"zz":1e-99999999999999999999,',
        b'"zz":{"a":1,"a":2},',
        b'"":1,',
        b'"\xc3\xa9":1,',
        b'" extra":{},',
        b'"e":"x",',
    ),
    *(b'"id":null,', b'"s":"X",', b'"i":1,', b'"code":-1,', b'"status":"x",', b'"\\u0065":1,', b'"%b":1,' % (b"k" * 5000)),
    *(
        b'"zz":%b%b,' % (b"[" * 20_000, b"]" * 20_000),
        b'"zz":%b1%b,' % (b'{"a":' * 2000, b"}" * 2000),
        b'"\xff":1,',
        b'"zz":"\xff",',
    ),
    *(b'"a\\\\":1,', b'"zz":[1.5,{"b":[]}],', b'"stream":"k","data":{},', b'"result":[],', b'"error":{},', b'"params":{},'),
)
#: What is out of place anywhere, in JSON or in HTTP.
PIECES: Final = (
    *(b"\x00", b"\xff", b"\x80", b" ", b"\t", b"\n", b"\r", b"\r\n", b"\r\n\r\n", b'"', b"\\", b"{", b"}", b"[", b"]", b":", b","),
    *(b"\xef\xbb\xbf", b"\xfe\xff", b"%00", b"%ff", b"%", b"?", b"&", b"=", b"/", b"//", b"..", b"#", b"@", b";", b"A" * 3000),
)
_VALUE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"(?!\s*:)|-?[0-9][0-9.eE+-]*|true|false|null')
_KEY_PLACE: Final = re.compile(rb"\{")

Way = Callable[[Random, bytes, Sequence[bytes]], bytes]


def _value(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Another value in the place of one."""
    found = list(_VALUE.finditer(data))
    if not found:
        return _piece(chance, data, _)
    at = chance.choice(found)
    return data[: at.start()] + chance.choice(chance.choice((NUMBERS, TEXTS, OTHERS))) + data[at.end() :]


def _key(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A key more in an object."""
    found = list(_KEY_PLACE.finditer(data))
    if not found:
        return _piece(chance, data, _)
    at = chance.choice(found).end()
    return data[:at] + chance.choice(KEYS) + data[at:]


def _piece(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + chance.choice(PIECES) + data[at + chance.randint(0, 2) :]


def _flip(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _count in range(chance.randint(1, 4)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _cut(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + data[at + chance.randint(1, 40) :]


def _end(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: chance.randint(0, len(data))]


def _double(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = chance.randint(0, len(data))
    return data[:at] + data[max(at - chance.randint(1, 60), 0) : at] + data[at:]


def _graft(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The head of this input and the tail of another."""
    other = chance.choice(others)
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _noise(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return chance.randbytes(chance.randint(0, 60))


#: The ways to mangle, the fruitful ones several times.
_WAYS: Final[tuple[Way, ...]] = (
    *(_value,) * 6,
    *(_key,) * 3,
    _piece,
    _piece,
    _flip,
    _flip,
    _cut,
    _end,
    _double,
    _double,
    _graft,
    _noise,
)


def mangled(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A mangled copy of `data`; `others` are inputs of the same kind."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(_WAYS)(chance, data, others)[:LONGEST]
    return data
