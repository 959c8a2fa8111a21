"""Recordings looked at from outside: the real ones hold up, and whatever is spoiled in a copy is found."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from coldframe.commands.verbs import recording_info, recording_verify
from coldframe.errors import ConfigError
from coldframe.runtime.recordings import describe_recording, verify_recording
from coldframe.wire.recording import snapshot_line, stream_line
from tests.conftest import SHARED, needs_shared

CAPTURES = sorted((SHARED / "data").glob("capture_*.jsonl.gz")) if SHARED.is_dir() else []
SMALL = SHARED / "data/capture_2021-07-22_sushi-akro-keep-ctk_30s.jsonl.gz"


class Printed:
    """Takes the result of a verb."""

    document: Any = None
    lines: Sequence[str] = ()

    def __call__(self, document: object, lines: Sequence[str]) -> None:
        self.document, self.lines = document, lines


def verified(path: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, document and last line of `recording verify`."""
    printed = Printed()
    code = recording_verify(path, printed)
    return code, printed.document, printed.lines[-1]


# -- the real ones ----------------------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name.split("_")[1])
def test_real_recordings_hold_up(path: Path) -> None:
    code, document, said = verified(path)
    assert list(document) == ["schema_version", "verb", "lines", "symbols", "gaps", "comparisons", "mismatches"]
    assert (code, document["schema_version"], document["verb"]) == (0, 1, "recording verify")
    assert (document["gaps"], document["mismatches"]) == (0, 0)
    assert document["comparisons"] > 1_000
    assert document["lines"] == len(gzip.decompress(path.read_bytes()).splitlines())
    for row in document["symbols"].values():
        assert list(row) == ["depth_events", "snapshots", "gaps", "comparisons", "mismatches"]
        assert row["snapshots"] == 1
        # Nearly every event after the snapshot moves the book, and both prices and quantities of its top are compared.
        assert row["comparisons"] > 3 * row["depth_events"]
    assert document["comparisons"] == sum(row["comparisons"] for row in document["symbols"].values())
    assert said.endswith(f"{document['lines']} lines, {document['comparisons']} comparisons: every book agrees with the tickers")


@needs_shared
def test_what_a_real_recording_holds() -> None:
    printed = Printed()
    assert recording_info(SMALL, printed) == 0
    document = printed.document
    assert (document["verb"], document["lines"], document["torn"]) == ("recording info", 1539, False)
    assert document["snapshots"] == dict.fromkeys(("AKROUSDT", "CTKUSDT", "KEEPUSDT", "SUSHIUSDT"), 1)
    assert document["streams"]["sushiusdt@depth@100ms"] == 255
    assert sum(document["streams"].values()) + 4 == 1539
    assert 29 < document["seconds"] < 31
    assert document["last_ns"] - document["first_ns"] == pytest.approx(document["seconds"] * 1e9, abs=1e6)
    assert printed.lines[-1].startswith(f"{SMALL.name}: 1539 lines over 30.")


# -- spoiled copies ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> list[bytes]:
    """The lines of a real recording."""
    return gzip.decompress(SMALL.read_bytes()).splitlines(keepends=True)


def copied(folder: Path, lines: Sequence[bytes]) -> Path:
    path = folder / "copy.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines), 1))
    return path


def depth_lines(lines: Sequence[bytes], symbol: str) -> list[int]:
    """Where the depth events of a symbol stand that a synced book follows."""
    begin = next(number for number, line in enumerate(lines) if b'"snapshot":"%b"' % symbol.encode() in line)
    last = json.loads(lines[begin])["data"]["lastUpdateId"]
    found = []
    for number, line in enumerate(lines):
        if b'"stream":"%b@depth' % symbol.lower().encode() in line and json.loads(line)["data"]["u"] > last:
            found.append(number)
    return found


@needs_shared
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
def test_a_depth_event_that_is_missing_is_a_gap(tmp_path: Path, small: list[bytes], share: float) -> None:
    places = depth_lines(small, "SUSHIUSDT")
    gone = places[int(share * len(places))]
    code, document, said = verified(copied(tmp_path, small[:gone] + small[gone + 1 :]))
    assert code == 1
    assert document["gaps"] == 1
    assert document["symbols"]["SUSHIUSDT"]["gaps"] == 1
    assert document["mismatches"] == 0
    assert said.endswith("the books do NOT agree with the tickers")


@needs_shared
@pytest.mark.parametrize("side", ["b", "a"])
def test_a_best_price_with_another_quantity_is_a_mismatch(tmp_path: Path, small: list[bytes], side: str) -> None:
    """In one depth event the quantity at the best price is changed, where the next best prices show what it should be."""
    tickers = {
        body["u"]: body for line in small if b'"stream":"sushiusdt@bookTicker"' in line for body in (json.loads(line)["data"],)
    }
    for number in depth_lines(small, "SUSHIUSDT")[20:]:
        event = json.loads(small[number])["data"]
        best = tickers.get(event["u"])
        if best is None:
            continue
        for level in event[side]:
            if level[0] == best[side] and level[1] == best[side.upper()]:
                spoiled = small[number].replace(
                    json.dumps(level, separators=(",", ":")).encode(), b'["%b","987654"]' % level[0].encode()
                )
                assert spoiled != small[number]
                lines = [*small[:number], spoiled, *small[number + 1 :]]
                code, document, _ = verified(copied(tmp_path, lines))
                assert code == 1
                assert document["gaps"] == 0
                assert document["mismatches"] >= 1
                assert document["symbols"]["SUSHIUSDT"]["mismatches"] == document["mismatches"]
                return
    raise AssertionError("no such event")


@needs_shared
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda line: re.sub(rb'"u":(\d+)', lambda found: b'"u":%d' % (int(found[1]) + 1), line), id="an id"),
        pytest.param(
            lambda line: re.sub(rb'"pu":(\d+)', lambda found: b'"pu":%d' % (int(found[1]) - 1), line), id="a link to the last"
        ),
    ],
)
def test_ids_that_do_not_chain_are_gaps(tmp_path: Path, small: list[bytes], spoil: Callable[[bytes], bytes]) -> None:
    number = depth_lines(small, "CTKUSDT")[40]
    code, document, _ = verified(copied(tmp_path, [*small[:number], spoil(small[number]), *small[number + 1 :]]))
    assert (code, document["gaps"]) == (1, 1)


@needs_shared
def test_a_snapshot_with_another_best_price_is_found(tmp_path: Path, small: list[bytes]) -> None:
    number = next(number for number, line in enumerate(small) if b'"snapshot":"KEEPUSDT"' in line)
    body = json.loads(small[number])
    body["data"]["asks"][0][0] = "0.00001"
    lines = [*small[:number], json.dumps(body).encode() + b"\n", *small[number + 1 :]]
    code, document, _ = verified(copied(tmp_path, lines))
    assert code == 1
    assert document["symbols"]["KEEPUSDT"]["gaps"] or document["symbols"]["KEEPUSDT"]["mismatches"]
    assert document["symbols"]["SUSHIUSDT"]["mismatches"] == 0


@needs_shared
def test_a_torn_end_is_told_and_is_no_mismatch(tmp_path: Path, small: list[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    whole = small[:800]
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b"".join(whole) + small[800][:-10])
    code, document, _ = verified(torn)
    assert (code, document["lines"], document["mismatches"]) == (0, 800, 0)
    assert capsys.readouterr().err == f"coldframe: {torn}:801: the last line is torn and was left out\n"
    printed = Printed()
    recording_info(torn, printed)
    assert (printed.document["torn"], printed.document["lines"]) == (True, 800)
    assert "torn and was left out" in capsys.readouterr().err
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(SMALL.read_bytes()[:30_000])
    code, document, _ = verified(cut)
    assert code == 0
    assert document["lines"] >= 100
    assert len(capsys.readouterr().err.splitlines()) == 1


@needs_shared
@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b'{"t": 1, "stream": "x", "data": \n', "not a line of a recording"),
        (b"garbage\n", "not a line of a recording"),
        (b'{"t":1,"stream":"sushiusdt@depth@100ms","data":{"e":"depthUpdate"}}\n', "the payload is not what its stream carries"),
        (b'{"t":1,"snapshot":"SUSHIUSDT","data":{"lastUpdateId":"x"}}\n', "the payload is not what its stream carries"),
        (
            b'{"t":1,"stream":"sushiusdt@bookTicker","data":{"u":1,"s":"S","b":"NaN","B":"1","a":"1","A":"1"}}\n',
            "the payload is not",
        ),
    ],
)
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, small: list[bytes], broken: bytes, said: str) -> None:
    path = copied(tmp_path, [*small[:100], broken, *small[101:]])
    with pytest.raises(ConfigError) as refused:
        verify_recording(path)
    assert str(refused.value).startswith(f"{path}:101: {said}")
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 78


# -- small ones -------------------------------------------------------------------------------------------------------


def ticker(update_id: int, bid: str, bid_quantity: str, ask: str, ask_quantity: str) -> bytes:
    body = {
        "e": "bookTicker",
        "u": update_id,
        "s": "BTCUSDT",
        "b": bid,
        "B": bid_quantity,
        "a": ask,
        "A": ask_quantity,
        "T": 1,
        "E": 1,
    }
    return stream_line(1, "btcusdt@bookTicker", json.dumps(body).encode())


def depth(previous: int, last: int, bids: object = (), asks: object = (), stream: str = "btcusdt@depth@100ms") -> bytes:
    body = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": previous + 1, "u": last, "pu": previous, "b": bids, "a": asks}
    return stream_line(1, stream, json.dumps(body).encode())


SNAPSHOT = snapshot_line(1, "BTCUSDT", b'{"lastUpdateId":10,"bids":[["9.0","1"],["8","2"]],"asks":[["11","3"]]}')


def row_of(tmp_path: Path, *lines: bytes) -> dict[str, Any]:
    path = tmp_path / "small.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    document, _, _ = verify_recording(path)
    row: dict[str, Any] = document["symbols"].get("BTCUSDT", {})
    return row


def test_book_is_compared_with_the_best_prices_at_its_id(tmp_path: Path) -> None:
    good = (depth(5, 9), SNAPSHOT, ticker(8, "9", "1", "11", "3"), depth(9, 12, [["9.0", "0"], ["8.5", "4"]]))
    assert row_of(tmp_path, *good, ticker(11, "8.50", "4.0", "11.0", "3"), ticker(13, "1", "1", "2", "2"))["mismatches"] == 0
    assert row_of(tmp_path, *good, ticker(11, "8.50", "4.0", "11.0", "3"))["comparisons"] == 4
    assert row_of(tmp_path, *good, ticker(12, "8", "4.1", "11", "3"), ticker(13, "8.5", "4", "11", "3"))["mismatches"] == 2
    assert row_of(tmp_path, *good[:2], good[3], ticker(13, "8.5", "4", "11", "3"))["comparisons"] == 0


def test_a_snapshot_that_nothing_follows_on_is_a_gap(tmp_path: Path) -> None:
    late = depth(15, 20)
    assert row_of(tmp_path, depth(3, 5), SNAPSHOT, depth(12, 20))["gaps"] == 1
    assert row_of(tmp_path, SNAPSHOT, late)["gaps"] == 1
    assert row_of(tmp_path, late, SNAPSHOT)["gaps"] == 1
    assert row_of(tmp_path, depth(5, 9), depth(9, 12), depth(13, 14), SNAPSHOT)["gaps"] == 1
    assert row_of(tmp_path, depth(5, 9), SNAPSHOT, depth(9, 12))["gaps"] == 0


def test_one_speed_of_a_symbol_is_followed(tmp_path: Path) -> None:
    other = depth(100, 101, stream="btcusdt@depth@500ms")
    row = row_of(tmp_path, depth(5, 9), other, SNAPSHOT, depth(9, 12), other)
    assert (row["depth_events"], row["gaps"]) == (2, 0)


@pytest.mark.parametrize(
    "lines", [[], [b'{"t":5,"stream":"btcusdt@aggTrade","data":{"any":"thing"}}'], [b'{"t":5,"stream":"no such","data":1}']]
)
def test_where_nothing_could_be_compared_it_is_said(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "small.jsonl"
    path.write_bytes(b"\n".join(lines))
    _, document, said = verified(path)
    assert (document["lines"], document["symbols"], document["comparisons"]) == (len(lines), {}, 0)
    assert said.endswith("0 comparisons: there was nothing to compare")
    assert describe_recording(path)[0]["lines"] == len(lines)


@pytest.mark.parametrize("verb", [verify_recording, describe_recording])
def test_what_cannot_be_read(tmp_path: Path, verb: Callable[[Path], object]) -> None:
    for path in (tmp_path / "none.jsonl.gz", tmp_path):
        with pytest.raises(ConfigError) as refused:
            verb(path)
        assert str(refused.value).startswith(f"{path}: cannot be read: ")
