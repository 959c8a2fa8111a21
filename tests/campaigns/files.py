"""Everything that reads files: recordings, configurations, halts, bans, notes, journals, and what the venue keeps.

Each is written into a folder of its own and read the way that a run or a command reads it.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import trio

from coldframe.compression import zstd_module
from coldframe.config.load import load
from coldframe.config.secrets import resolve
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount
from coldframe.data.input_log import InputEncoder, InputLogReading, begin_line
from coldframe.data.recordings import read_recording
from coldframe.errors import ConfigError, DecodeError, JournalDamaged, JournalUnwritable
from coldframe.exchange.context import Context
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import FaultPlan
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.account_file import FileAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.exchange_server.recording import read_recording_info, recorded_market
from coldframe.model.effects import WakeAt
from coldframe.model.inputs import FramesReceived, Lane, RestAnswered, Stamped, TimeReached
from coldframe.model.journal import RowKind
from coldframe.runtime import haltfiles
from coldframe.runtime.recordings import describe_recording, verify_recording
from coldframe.trio_io.bans import Bans
from coldframe.trio_io.control import read_request
from coldframe.trio_io.endpoint import LineTooLong, PeerRefused, RequestLines
from coldframe.trio_io.halt_file import HaltFile
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journalfile import JournalFile
from coldframe.trio_io.recorder import Recorder
from coldframe.wire.rest import Answer
from tests.campaigns.reader import Read, Reader
from tests.config.whole import WHOLE
from tests.exchange.rig import SYMBOL, Rig, symbol_market
from tests.randomness import randomness

NOW_MS: Final = 1_700_000_000_000
RECORDING: Final = b"\n".join(
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
REQUESTS: Final = [
    b'{"command":"halt","version":1,"level":"flatten","strategy":null,"reason":"by hand","at_ms":1700000000000}',
    b'{"command":"resume","version":1,"strategy":"mm"}',
    b'{"command":"resolve","version":1,"order":"cf.mm.abc.1","outcome":"canceled"}',
]
HALTS: Final = (
    b'{"version":1,"revision":"17.5","halts":[{"level":"flatten","strategy":null,"reason":"by hand","at_ms":1700000000000}],'
    b'"resumed":["mm",""],"name":"bot","configuration":"/srv/bot.toml","account":"main"}',
    b'{"version":1,"revision":"","halts":[],"pid":7}',
)
ENTRY: Final = b'{"name":"bot","configuration":"%b","account":"main","file":"%b","taken":["/srv/halt.json 1 None"]}'


def file_readers(folder: Path) -> Iterator[Reader]:
    """All of them; they keep their files in `folder`."""
    yield from _recordings(folder)
    yield from _configurations(folder)
    yield from _halts(folder)
    yield from _venue(folder / "venue")
    yield Reader("bans", [b'{"fapi.binance.com":1700000000000,"other":"5"}'], _bans(folder / "bans.json"), declared=(), share=3)
    yield Reader("control requests", REQUESTS, read_request, declared=(DecodeError,), share=3)
    yield Reader("control lines", [b"token\n" + REQUESTS[0] + b"\n"], _lines, declared=(PeerRefused, LineTooLong), share=3)
    yield Reader("input log", [_input_log()], _steps(folder / "fuzzed.log.jsonl"), declared=(ConfigError,), share=5)
    yield Reader(
        "journal", [_journal(folder / "made.db")], _rows(folder / "journal.db"), (JournalDamaged, JournalUnwritable), share=3
    )


def _lines(data: bytes) -> None:
    RequestLines(b"token", 1_000).feed(data)


def _input_log() -> bytes:
    """A log of one step of every kind that is written in a way of its own."""
    encoder, body = InputEncoder(), b'{"listenKey":"pqia91ma19a5s61cv6a8"}'
    events = [
        FramesReceived("market:1", (b'{"stream":"btcusdt@aggTrade","data":{}}',)),
        FramesReceived("market:1", (b"{",)),
        RestAnswered(1, Answer(200, {"a": "b"}, body), NOW_MS),
        TimeReached("orders:tick"),
    ]
    steps = [encoder.step(Stamped(seq, NOW_MS, Lane.MARKET, event), [WakeAt("a", 1)]) for seq, event in enumerate(events, 1)]
    return b"\n".join([begin_line(NOW_MS, {}), encoder.start(NOW_MS, []), *steps])


def _steps(path: Path) -> Read:
    def read(data: bytes) -> None:
        path.write_bytes(data)
        for step in InputLogReading(path):
            assert step.event is None or step.stamped

    return read


def _recordings(folder: Path) -> Iterator[Reader]:
    path, packer = folder / "fuzzed.jsonl", zstd_module("")
    packed = [
        gzip.compress(RECORDING, mtime=0),
        packer.compress(RECORDING),
        b"\x50\x2a\x4d\x18\0\0\0\0" + packer.compress(RECORDING),
    ]

    def look(data: bytes) -> None:
        path.write_bytes(data)
        for use in (read_recording_info, describe_recording, verify_recording):
            use(path)

    def play(data: bytes) -> None:
        path.write_bytes(data)
        _played(path)

    fresh = folder / "recorded.jsonl.gz"

    def record(data: bytes) -> None:
        """What is recorded can be read again, whatever came."""
        fresh.unlink(missing_ok=True)
        recorder = Recorder(fresh, lambda: NOW_MS, lambda text: None)
        recorder.frame(data)
        recorder.snapshot("BTCUSDT", data)
        trio.run(recorder.close)
        if fresh.exists():  # an empty one is taken away
            for _ in read_recording(fresh):
                pass

    good = [*[RECORDING] * 4, *packed]
    frames = [b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}', b'{"lastUpdateId":4,"bids":[["60000.0","1"]],"asks":[]}']
    yield Reader("recorder", frames, record, declared=(), share=5)
    yield Reader("recording", good, look, declared=(ConfigError,), share=20)
    yield Reader("market of a recording", good, play, declared=(ConfigError,), share=10)


def _played(path: Path) -> None:
    """A venue plays the recording as fast as it can."""
    settings = Settings(recording=str(path), speed="max", accounts=[VenueAccount(name="main")])
    market = recorded_market(settings, NOW_MS)
    exchange = Exchange(settings, market.markets, keys_for(["main"], None), MemoryAccountStore(), NOW_MS, randomness())
    context = Context(settings, exchange, market, lambda: NOW_MS, FaultPlan(settings.faults, 1, NOW_MS, Random))
    market.bind(exchange.streams, context.clear_trades)
    market.listened_to("btcusdt@depth@100ms")
    now_ms = NOW_MS
    while not market.ended:
        now_ms += 50
        market.advance(now_ms)
    if market.fault is not None:
        raise market.fault


def _configurations(folder: Path) -> Iterator[Reader]:
    path = folder / "bot.toml"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        load(path)

    parts = [part.encode() for part in re.split(r"(?m)^(?=\[)", WHOLE)]
    yield Reader("configuration", [WHOLE.encode(), *parts], read, declared=(ConfigError,), share=10)
    secret = folder / "secret"

    def reveal(data: bytes) -> None:
        secret.write_bytes(data)
        secret.chmod(0o600)
        resolve(f"file:{secret}", folder, "orders.secret").reveal()

    yield Reader("secret in a file", [b"abcdef\n"], reveal, declared=(ConfigError,))


def _halts(folder: Path) -> Iterator[Reader]:
    """The halt file, and the register of bots in the state folder of this campaign."""
    path = folder / "halt.json"
    config = folder / "halted.toml"
    config.write_text('name = "bot"\n')
    loaded = load(config)
    other = ENTRY % (str(folder / "elsewhere.toml").encode(), str(path).encode())

    def read(data: bytes) -> None:
        path.write_bytes(data)
        HaltFile(path).read()

    def register(data: bytes) -> None:
        path.write_bytes(HALTS[0])
        halts = haltfiles.state_home() / "halts"
        halts.mkdir(parents=True, exist_ok=True)
        (halts / "fuzzed.json").write_bytes(data)
        haltfiles.standing_halts(loaded, "main", lambda text: None)

    yield Reader("halt file", HALTS, read, declared=(), share=5)
    yield Reader("register of halts", [other, ENTRY % (b"", b"")], register, declared=(), share=3)


def _venue(folder: Path) -> Iterator[Reader]:
    """What an embedded venue keeps: its accounts, and their keys."""
    keys_for(["main"], str(folder))
    rig = Rig(symbol_market(), store=FileAccountStore(folder))
    rig.book()
    rig.place("BUY", "2")
    rig.place("BUY", "3", "990.0")
    stop = {"side": "SELL", "type": "STOP_MARKET", "quantity": "1", "triggerPrice": "900.0"}
    rig.call("POST /fapi/v1/algoOrder", algoType="CONDITIONAL", symbol=SYMBOL, **stop)
    rig.exchange.note_last_prices(rig.now_ms)
    rig.exchange.store.close()

    def opened() -> None:
        store = FileAccountStore(folder)
        try:
            Rig(symbol_market(), store=store)
        finally:
            store.close()

    file = next(folder.glob("*.jsonl"))
    stored, pem = folder / "main.json", folder / "main.ed25519.pem"
    yield Reader("account file", [file.read_bytes()], _with(file, opened), declared=(ConfigError,), share=5)
    yield Reader(
        "keys", [stored.read_bytes()], _with(stored, lambda: keys_for(["main"], str(folder))), declared=(ConfigError,), share=3
    )
    yield Reader("private key", [pem.read_bytes()], _with(pem, lambda: keys_for(["main"], str(folder))), declared=(ConfigError,))


def _with(path: Path, use: Callable[[], object]) -> Read:
    """Reads what `use` reads while `path` holds the input; afterwards `path` is as it was."""
    good = path.read_bytes()

    def read(data: bytes) -> None:
        path.write_bytes(data)
        try:
            use()
        finally:
            path.write_bytes(good)

    return read


def _bans(path: Path) -> Read:
    def read(data: bytes) -> None:
        path.write_bytes(data)
        bans = Bans(path, "https://fapi.binance.com")
        bans.until_ms()
        bans.remember(NOW_MS, NOW_MS - 1)

    return read


def _journal(path: Path) -> bytes:
    """The bytes of a journal with a checkpoint and a few rows."""
    file = JournalFile(path)
    file.write([(NOW_MS * 10**6, RowKind.CHECKPOINT, "", {}), (NOW_MS * 10**6, RowKind.ORDER, "cf.mm.1", {"price": "60000.1"})])
    file.close()
    return path.read_bytes()


def _rows(path: Path) -> Read:
    def read(data: bytes) -> None:
        path.write_bytes(data)
        for ending in ("-wal", "-shm", ".lock"):
            with suppress(FileNotFoundError):
                os.unlink(f"{path}{ending}")
        list(read_rows(path))
        file = JournalFile(path)
        try:
            list(file.state_rows())
        finally:
            file.close()

    return read
