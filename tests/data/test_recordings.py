"""Reading recordings: every compression, torn ends, broken middles."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from coldframe import compression
from coldframe.compression import zstd_module
from coldframe.data.recordings import read_recording
from coldframe.errors import ConfigError
from coldframe.exchange_server.recording import read_recording_info
from tests.conftest import SHARED, needs_shared

LINES = [
    b'{"t":1000000000,"stream":"btcusdt@trade","data":{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":%d,"p":"61800.30","q":"0.006","m":false}}'
    % number
    for number in range(100)
]


def _write(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd_module("").compress])
@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_lines_are_read_whatever_the_end_of_the_file(tmp_path: Path, pack: Callable[[bytes], bytes], end: bytes) -> None:
    reading = read_recording(_write(tmp_path / "recording.jsonl", pack(b"\n".join(LINES) + end)))
    assert len(list(reading)) == 100
    assert (reading.tear, reading.line) == (None, 100)


@pytest.mark.parametrize("pack", [gzip.compress, zstd_module("").compress])
def test_a_recording_in_parts_is_read_to_its_end(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """Compressed files put one behind the other are one file, even where a part is empty."""
    parts = [b"\n".join(LINES[:60]) + b"\n", b"", b"\n".join(LINES[60:]) + b"\n"]
    for order in (parts, [b"", *parts], [*parts, b""]):
        reading = read_recording(_write(tmp_path / "recording.jsonl", b"".join(map(pack, order))))
        assert (len(list(reading)), reading.tear) == (100, None)


@pytest.mark.parametrize("kind", [0x50, 0x5A, 0x5F])
@pytest.mark.parametrize("note", [b"", b"note"])
def test_zstd_frames_that_are_skipped_are_skipped(tmp_path: Path, kind: int, note: bytes) -> None:
    """Before the first frame as well: pzstd and seekable files begin with one."""
    skipped = bytes([kind]) + b"\x2a\x4d\x18" + len(note).to_bytes(4, "little") + note
    pack = zstd_module("").compress
    first, second = pack(b"\n".join(LINES[:60]) + b"\n"), pack(b"\n".join(LINES[60:]) + b"\n")
    for body in (skipped + first + second, first + skipped + second, first + second + skipped, skipped * 2 + first + second):
        reading = read_recording(_write(tmp_path / "recording.jsonl.zst", body))
        assert (len(list(reading)), reading.tear) == (100, None)


@pytest.mark.parametrize("kind", [0x4F, 0x60, 0x00])
def test_what_only_resembles_a_skipped_frame_is_text(tmp_path: Path, kind: int) -> None:
    path = _write(tmp_path / "recording.jsonl.zst", bytes([kind]) + b"\x2a\x4d\x18" + bytes(4))
    with pytest.raises(ConfigError, match=r"recording\.jsonl\.zst:1: not a line of a recording"):
        list(read_recording(path))


def test_torn_last_line_is_reported_and_earlier_lines_are_kept(tmp_path: Path) -> None:
    body = b"\n".join(LINES)
    for cut in (1, 30, 100):
        reading = read_recording(_write(tmp_path / "recording.jsonl", body[:-cut]))
        assert len(list(reading)) == 99
        assert reading.tear == f"{tmp_path / 'recording.jsonl'}:100: the last line is torn and was left out"


def test_a_cut_compressed_file_gives_all_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl.gz"
    rng = Random(1)
    lines = [b'{"t":%d,"stream":"x","data":"%d"}' % (number, rng.getrandbits(256)) for number in range(3000)]
    whole = gzip.compress(b"\n".join(lines) + b"\n")
    path.write_bytes(whole[: len(whole) // 2])
    reading = read_recording(path)
    read = list(reading)
    assert 500 < len(read) < 3000
    assert [line.t for line in read] == list(range(len(read)))
    assert reading.tear is not None
    assert str(path) in reading.tear


@pytest.mark.parametrize(
    "line", [b"{nonsense", b'{"t":1,"data":{}}', b'{"t":1,"stream":"a","snapshot":"b","data":{}}', b'{"t":"x"}']
)
def test_a_broken_line_in_the_middle_names_file_and_line(tmp_path: Path, line: bytes) -> None:
    path = _write(tmp_path / "recording.jsonl", b"\n".join([*LINES[:3], line, *LINES[3:]]))
    with pytest.raises(ConfigError, match=r"recording\.jsonl:4: not a line of a recording"):
        list(read_recording(path))


def test_damage_inside_the_compression_is_an_error(tmp_path: Path) -> None:
    path = _write(tmp_path / "recording.jsonl.gz", gzip.compress(b"\n".join(LINES)))
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(bytes(body))
    with pytest.raises(ConfigError, match=r"recording\.jsonl\.gz"):
        list(read_recording(path))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.jsonl: cannot be read: No such file"):
        list(read_recording(tmp_path / "nothing.jsonl"))


def test_zstd_without_its_module_says_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "recording.jsonl.zst", zstd_module(tmp_path).compress(b"\n".join(LINES)))
    assert len(list(read_recording(path))) == 100
    monkeypatch.setattr(compression, "_MODULES", ("no_such_module",))
    with pytest.raises(ConfigError, match=r"recording\.jsonl\.zst: zstd recordings need .* pip install backports\.zstd"):
        list(read_recording(path))


def test_damage_inside_zstd_is_an_error(tmp_path: Path) -> None:
    whole = bytearray(zstd_module("").compress(b"\n".join(LINES)))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(ConfigError, match=r"recording\.jsonl"):
        list(read_recording(_write(tmp_path / "recording.jsonl", bytes(whole))))


def test_a_zstd_recording_that_was_cut_off_is_torn(tmp_path: Path) -> None:
    whole = zstd_module(tmp_path).compress(b"\n".join(LINES))
    reading = read_recording(_write(tmp_path / "recording.jsonl.zst", whole[:-9]))
    assert len(list(reading)) <= 100
    assert reading.tear is not None


def test_a_file_is_what_it_holds_whatever_it_is_called(tmp_path: Path) -> None:
    assert len(list(read_recording(_write(tmp_path / "recording.jsonl", gzip.compress(b"\n".join(LINES)))))) == 100
    assert len(list(read_recording(_write(tmp_path / "recording.jsonl.gz", b"\n".join(LINES))))) == 100


@pytest.mark.parametrize("text", [b'{"symbols":[]}', b"[1]\n", b"not a recording", b"\x00\x01\x02"])
def test_what_never_was_a_recording_is_not_taken_for_a_torn_one(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"recording\.jsonl:1: not a line of a recording"):
        list(read_recording(_write(tmp_path / "recording.jsonl", text)))


def test_a_whole_line_of_something_else_at_the_end_is_no_tear(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recording\.jsonl:101: not a line of a recording"):
        list(read_recording(_write(tmp_path / "recording.jsonl", b"\n".join([*LINES, b'{"symbols":[]}']))))


# -- what a recording holds --------------------------------------------------------------------------------------------


def test_recording_info_names_streams_symbols_and_digits(tmp_path: Path) -> None:
    made = read_recording_info(_write(tmp_path / "recording.jsonl", b"\n".join(LINES)))
    assert made.names == {"btcusdt@trade": 100}
    bitcoin = made.symbols["BTCUSDT"]
    assert (bitcoin.depth_name, bitcoin.trade_name) == (None, "btcusdt@trade")
    filters = bitcoin.contract().filters
    assert (str(filters.tick), str(filters.lot.step)) == ("0.1", "0.001")
    assert bitcoin.contract().price_digits == 2


DELTA = b'{"t":%d,"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":1,"u":%d,"pu":0,"b":[],"a":[]}}'
SNAPSHOT = b'{"t":5,"snapshot":"BTCUSDT","data":{"lastUpdateId":1,"E":1,"T":1,"bids":[["1.0","1"]],"asks":[["2.0","1"]]}}'


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        ([DELTA % (4, 1), SNAPSHOT, DELTA % (6, 2)], None),
        ([DELTA % (4, 1), DELTA % (6, 2)], "no snapshot of BTCUSDT on it: no book there can ever be synced"),
        ([DELTA % (9, 1), SNAPSHOT], ":2: time goes backwards here"),
        ([SNAPSHOT, DELTA[:40] % 5], ":2: the last line is torn"),
    ],
)
def test_what_its_player_should_know(tmp_path: Path, lines: list[bytes], note: str | None) -> None:
    made = read_recording_info(_write(tmp_path / "recording.jsonl", b"\n".join(lines)))
    assert made.note == note if note is None else note in str(made.note)


def test_a_recording_without_a_market_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no market"):
        read_recording_info(_write(tmp_path / "recording.jsonl", b""))
    with pytest.raises(ConfigError, match=r"recording\.jsonl:1: not a payload"):
        read_recording_info(_write(tmp_path / "recording.jsonl", b'{"t":1,"stream":"btcusdt@trade","data":{}}\n'))


@needs_shared
@pytest.mark.parametrize(
    ("name", "symbols", "tick", "depth", "trade"),
    [
        ("capture_2021-07-22_sushi-akro-keep-ctk_30s", 4, "0.001", "sushiusdt@depth@100ms", "sushiusdt@aggTrade"),
        ("capture_2021-04-05_bat-ctk-neo-sand-chr_119s", 5, "0.0001", "batusdt@depth@100ms", "batusdt@aggTrade"),
        ("capture_2024-08-08_btcusdt_first15s", 1, "0.1", "btcusdt@depth@0ms", "btcusdt@trade"),
    ],
)
def test_real_recordings(name: str, symbols: int, tick: str, depth: str, trade: str) -> None:
    made = read_recording_info(SHARED / "data" / f"{name}.jsonl.gz")
    assert (len(made.symbols), made.complete, made.tear) == (symbols, True, None)
    first = next(iter(made.symbols.values()))
    assert (str(first.contract().filters.tick), first.depth_name, first.trade_name) == (tick, depth, trade)
    assert all(symbol.snapshots == 1 for symbol in made.symbols.values())
