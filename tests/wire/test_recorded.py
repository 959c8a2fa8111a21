"""Real data of the venue decodes without a single unknown key or word, and comes back as it was."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coldframe.wire import api, codec, names, recording, reference, replies
from coldframe.wire.filters import Filters
from tests.conftest import SHARED, needs_shared

pytestmark = needs_shared

DATA = SHARED / "data"
#: Recording to its lines and snapshots.
RECORDINGS = {
    "capture_2021-04-05_bat-ctk-neo-sand-chr_119s.jsonl.gz": (8426, 5),
    "capture_2021-07-22_sushi-akro-keep-ctk_30s.jsonl.gz": (1539, 4),
    "capture_2024-08-08_btcusdt_first15s.jsonl.gz": (3786, 1),
}
EXCHANGE_INFOS = ("exchangeinfo_2021-07-21.json.gz", "exchangeinfo_2025-03-06_subset.json")


def exactly(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal)


def printed(value: object) -> bytes:
    """A value of the message file as the venue printed it; its bare fractions are short enough to survive."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def lines_of(file: Path) -> Iterator[bytes]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
        yield from lines


def messages() -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(DATA / "messages.jsonl")] if SHARED.is_dir() else []


# -- single messages --------------------------------------------------------------------------------------------------


def test_there_are_45_messages() -> None:
    assert Counter(row["kind"] for row in messages()) == {"market": 34, "user": 4, "wsapi": 5, "rest": 2}


@pytest.mark.parametrize("row", messages(), ids=lambda row: f"{row['src']} {row['stream']}")
def test_a_real_message_decodes_and_comes_back_as_it_was(row: dict[str, Any]) -> None:
    payload, census = printed(row["data"]), codec.Census()
    match row["kind"]:
        case "market":
            name = names.parse(row["stream"])
            assert str(name) == row["stream"]
            decoded = codec.encode(codec.decode_stream(name, payload, census))
            back = exactly(decoded) if isinstance(row["data"], list) else exactly(decoded)[0]
        case "user":
            back = exactly(codec.encode(codec.decode_user(payload, census)))
        case "rest":
            back = exactly(codec.encode(codec.decode(reference.Depth, payload, census)))
        case _:
            back = exactly(codec.encode(api.parse_reply(payload)))
    assert back == exactly(payload)
    assert not census.unknown


def test_the_results_of_real_api_replies_decode() -> None:
    census = codec.Census()
    for row in messages():
        if row["kind"] == "wsapi" and "result" in row["data"]:
            kind = replies.SessionStatus if "authorizedSince" in row["data"]["result"] else replies.OrderReply
            result = codec.decode(kind, bytes(api.parse_reply(printed(row["data"])).result), census)  # type: ignore[arg-type]
            assert exactly(codec.encode(result)) == exactly(printed(row["data"]["result"]))
    assert not census.unknown


# -- recordings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_line_of_a_recording_decodes(name: str) -> None:
    census, snapshots, count = codec.Census(), 0, 0
    for line in lines_of(DATA / name):
        count += 1
        parsed = recording.parse_line(line)
        if isinstance(parsed.snapshot, str):
            snapshots += 1
            depth = codec.decode(reference.Depth, parsed.payload, census)
            assert depth.bids
            assert recording.snapshot_line(parsed.t, parsed.snapshot, parsed.payload) == line.rstrip()
            continue
        assert isinstance(parsed.stream, str)
        stream = names.parse(parsed.stream)
        assert str(stream) == parsed.stream
        (message,) = codec.decode_stream(stream, parsed.payload, census)
        assert message.symbol == stream.symbol  # type: ignore[attr-defined]
        assert recording.stream_line(parsed.t, parsed.stream, parsed.payload) == line.rstrip()
    assert (count, snapshots) == RECORDINGS[name]
    assert not census.unknown


def test_every_tenth_line_comes_back_as_it_was() -> None:
    for name in RECORDINGS:
        for line in list(lines_of(DATA / name))[::10]:
            parsed, census = recording.parse_line(line), codec.Census()
            if isinstance(parsed.stream, str):
                (message,) = codec.decode_stream(names.parse(parsed.stream), parsed.payload, census)
                assert exactly(codec.encode(message)) == exactly(parsed.payload)


# -- exchangeInfo -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXCHANGE_INFOS)
def test_exchange_info_decodes_and_gives_every_symbol_its_rules(name: str) -> None:
    body, census = b"".join(lines_of(DATA / name)).strip(), codec.Census()
    info = codec.decode(reference.ExchangeInfo, body, census)
    assert not census.unknown
    assert exactly(codec.encode(info)) == exactly(body)
    assert len(info.symbols) >= 20
    for symbol in info.symbols:
        filters = Filters.of(symbol)
        assert not filters.unknown
        assert filters.tick > 0
        assert filters.lot.step > 0
        assert filters.market_lot.max > 0
        assert filters.max_orders > 0
        assert filters.min_notional > 0
        assert filters.multiplier_down < 1 < filters.multiplier_up
        assert filters.check_price(filters.nearest_price(filters.max_price / 3)) is None
        assert filters.check_quantity(filters.lot.max) is None
