"""Every JSON sample of the seed documents is found, counted, and decoded by the part of the wire it belongs to."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest

from coldframe.wire import api, codec, frames, names, reference, replies, requests
from coldframe.wire.filters import KNOWN_FILTERS, Filters, LotSize
from coldframe.wire.streams import Message
from tests.conftest import needs_shared
from tests.wire.common import COMMON_PARAMETERS
from tests.wire.seeds import REPAIRS, Sample, leftovers, pages, samples
from tests.wire.shapes import example

pytestmark = needs_shared

RESULTS: dict[str, type[Message]] = {
    "order.place": replies.OrderReply,
    "session.logon": replies.SessionStatus,
    "session.status": replies.SessionStatus,
    "session.logout": replies.SessionStatus,
    "depth": reference.Depth,
    "ticker.price": reference.PriceTicker,
    "ticker.book": reference.BestTicker,
}


def category(sample: Sample) -> str:
    """What a sample is, told by its content alone."""
    value = sample.value
    if isinstance(value, list) or "e" in value:
        return "stream"
    if "method" in value:
        return "control request" if value["method"].isupper() else "api request"
    if "status" in value:
        return "api reply"
    for key, name in {"result": "control reply", "filterType": "filter", "rateLimitType": "rate limit"}.items():
        if key in value:
            return name
    assert set(value) == {"code", "msg"}
    return "control error" if sample.chapter.startswith("LIVE") else "error"


def of(*categories: str) -> list[Sample]:
    return [sample for sample in samples() if category(sample) in categories]


def plain(message: object) -> Any:
    return json.loads(codec.encode(message), parse_float=Decimal)


# -- nothing is skipped -----------------------------------------------------------------------------------------------


def test_every_sample_of_every_page_is_taken() -> None:
    assert Counter(sample.page for sample in samples()) == {"000": 2, "001": 1, "002": 2, "003": 1, "004": 65}
    assert Counter(category(sample) for sample in samples()) == {
        "stream": 24,
        "api request": 7,
        "api reply": 11,
        "control request": 5,
        "control reply": 5,
        "control error": 9,
        "rate limit": 2,
        "filter": 7,
        "error": 1,
    }


def test_outside_the_samples_stands_no_other_json() -> None:
    rest = [line for text in pages().values() for line in leftovers(text)]
    assert len(rest) == 2
    assert '"returnRateLimits": true' in rest[0]
    assert r'{"stream":"\<streamName\>","data":\<rawPayload\>}' in rest[1]


def test_only_the_five_samples_that_protocol_md_lists_are_mended() -> None:
    broken = [sample.chapter for sample in samples() if not sample.valid]
    assert sorted(broken) == sorted(REPAIRS)
    for sample in samples():
        json.loads(sample.text)


# -- streams ----------------------------------------------------------------------------------------------------------


def filled_in(form: str, row: dict[str, Any]) -> str:
    """The name form of a page with what its own sample says."""
    bar = row.get("k", {})
    symbol = row.get("s") or row.get("ps") or row.get("o", {}).get("s", "")
    blanks = {
        "symbol": symbol,
        "assetSymbol": symbol,
        "pair": row.get("ps", ""),
        "contractType": row.get("ct", "").lower(),
        "interval": bar.get("i", ""),
        "levels": str(len(row["b"])) if isinstance(row.get("b"), list) else "",
    }
    for blank, text in blanks.items():
        form = form.replace(f"<{blank}>", names.lower(text) if blank != "interval" else text)
    return form


@pytest.mark.parametrize("sample", of("stream"), ids=str)
@pytest.mark.parametrize("tight", [True, False], ids=["tight", "as printed"])
def test_a_stream_sample_decodes_under_every_name_of_its_page(sample: Sample, tight: bool) -> None:
    rows = sample.value if isinstance(sample.value, list) else [sample.value]
    assert sample.names
    for form in sample.names:
        written = filled_in(form, rows[0])
        name = names.parse(written)
        assert str(name) == written
        census = codec.Census()
        messages = codec.decode_stream(name, sample.payload if tight else sample.text.encode(), census)
        assert [plain(message) for message in messages] == rows
        assert not census.unknown
        assert all(message.event == row["e"] for message, row in zip(messages, rows, strict=True))
        if not name.subject:
            continue
        assert name.symbol in json.dumps(rows[0])


def test_pages_with_swapped_addresses_are_read_by_their_content() -> None:
    kinds = [(sample.page, names.parse(sample.names[0]).kind.value) for sample in of("stream") if sample.page != "004"]
    assert kinds == [
        ("000", "contractInfo"),
        ("000", "assetIndex"),
        ("001", "contractInfo"),
        ("002", "assetIndex"),
        ("002", "contractInfo"),
        ("003", "assetIndex"),
    ]


# -- the WebSocket API ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", of("api request"), ids=str)
def test_an_api_request_is_read_and_built_again(sample: Sample) -> None:
    request = api.parse_request(sample.payload)
    assert {"id": request.id, "method": request.method, "params": request.params} == {"params": {}, **sample.value}
    method = api.METHODS[request.method]
    read = requests.read(method.request, request.params)
    assert not isinstance(read, requests.Fault)
    own = {name: value for name, value in request.params.items() if name not in COMMON_PARAMETERS}
    assert requests.parameters(read) == own
    assert msgspec.json.decode(api.request_frame(str(request.id), request.method, request.params))["params"] == request.params


def replies_with_methods() -> list[tuple[Sample, str]]:
    """Each answer with the method that the page asked last before it."""
    method, found = "", []
    for sample in of("api request", "api reply"):
        if "method" in sample.value:
            method = sample.value["method"]
        else:
            found.append((sample, method))
    return found


@pytest.mark.parametrize(("sample", "method"), replies_with_methods(), ids=str)
def test_an_api_reply_decodes_down_to_its_result(sample: Sample, method: str) -> None:
    for frame in (sample.payload, sample.text.encode()):
        reply = api.parse_reply(frame)
        assert plain(reply) == sample.value
        if isinstance(reply.result, msgspec.UnsetType):
            continue
        census, kind = codec.Census(), RESULTS[method]
        result = sample.value["result"]
        if isinstance(result, list):
            assert plain(codec.decode_list(kind, bytes(reply.result), census)) == result
        else:
            assert plain(codec.decode(kind, bytes(reply.result), census)) == result
        assert not census.unknown


def test_errors_and_the_revoked_session_are_told_apart() -> None:
    errors = [reply for sample in of("api reply") if (reply := api.parse_reply(sample.payload)).error is not msgspec.UNSET]
    assert [(reply.id is None, reply.status, getattr(reply.error, "code", 0)) for reply in errors] == [
        (False, 400, -1102),
        (True, 401, -2015),
    ]


# -- control frames ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", of("control request"), ids=str)
def test_a_control_request_is_read_and_built_again(sample: Sample) -> None:
    control = frames.parse_control(sample.text.encode())
    assert isinstance(control, frames.Control)
    assert isinstance(control.id, int)
    assert json.loads(frames.control_frame(control.method, control.params, control.id)) == sample.value


@pytest.mark.parametrize("sample", of("control reply"), ids=str)
def test_a_control_reply_is_read_and_built_again(sample: Sample) -> None:
    reply = frames.parse_reply(sample.text.encode())
    assert reply.error is None
    assert reply.id is not None
    assert json.loads(frames.reply_frame(reply.id, reply.result)) == sample.value


@pytest.mark.parametrize("sample", of("control error"), ids=str)
def test_a_control_error_is_read_in_both_forms(sample: Sample) -> None:
    expected = frames.ControlError(sample.value["code"], sample.value["msg"])
    assert frames.parse_reply(sample.payload).error == expected
    assert frames.parse_reply(frames.error_frame(expected)).error == expected


# -- definitions ------------------------------------------------------------------------------------------------------


def test_the_filter_samples_make_the_rules_of_a_symbol() -> None:
    rows = [sample.value for sample in of("filter")]
    assert {row["filterType"] for row in rows} == KNOWN_FILTERS - {"POSITION_RISK_CONTROL"}
    body = {**example(reference.SymbolInfo), "filters": rows}
    info = codec.decode(reference.SymbolInfo, json.dumps(body).encode(), codec.Census())
    filters = Filters.of(info)
    lot = LotSize(Decimal("0.001"), Decimal(100000), Decimal("0.001"))
    assert attrs.evolve(filters, price_precision=0, quantity_precision=0) == Filters(
        min_price=Decimal("0.000001"),
        max_price=Decimal(100000),
        tick=Decimal("0.000001"),
        lot=lot,
        market_lot=lot,
        max_orders=200,
        min_notional=Decimal(5),
        multiplier_up=Decimal("1.15"),
        multiplier_down=Decimal("0.85"),
        price_precision=0,
        quantity_precision=0,
    )


@pytest.mark.parametrize("sample", of("rate limit"), ids=str)
def test_a_rate_limit_decodes(sample: Sample) -> None:
    census = codec.Census()
    limit = codec.decode(reference.RateLimit, sample.payload, census)
    assert plain(limit) == sample.value
    assert limit.rate_limit_type.known
    assert not census.unknown


def test_the_error_payload_decodes() -> None:
    (sample,) = of("error")
    body = msgspec.json.decode(sample.payload, type=replies.ErrorBody)
    assert (body.code, body.msg) == (-1121, "Invalid symbol.")
