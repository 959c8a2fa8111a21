"""A secret is not seen: not printed, not formatted, not pickled, not in a traceback; only `reveal` gives it away."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.secret import Secret

TEXT = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"


@attrs.frozen
class Holder:
    key: Secret


def hidden(shown: str) -> bool:
    """Whether no eight letters of the secret stand in a text."""
    return not any(TEXT[at : at + 8] in shown for at in range(len(TEXT) - 7))


def test_x1_no_way_of_printing_shows_it() -> None:
    secret = Secret(TEXT)
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>90}", "%s" % secret, repr([secret]), repr(Holder(secret))):  # noqa: UP031
        assert hidden(shown)
        assert secret.fingerprint in shown


def test_x2_a_traceback_with_local_variables_does_not_show_it() -> None:
    def fail(secret: Secret) -> None:
        raise RuntimeError(f"with {secret}")

    with pytest.raises(RuntimeError) as caught:
        fail(Secret(TEXT))
    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert hidden("".join(captured.format()))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TEXT), protocol)


@pytest.mark.parametrize("level", [logging.DEBUG, logging.CRITICAL])
def test_x1_it_is_not_logged(caplog: pytest.LogCaptureFixture, level: int) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("any").log(level, "with %s and %r", Secret(TEXT), {"key": Secret(TEXT)}, extra={"key": Secret(TEXT)})
    assert hidden(caplog.text + repr(vars(caplog.records[0])))


def test_x2_an_error_that_carries_it_does_not_show_it() -> None:
    error = ValueError(Secret(TEXT), Holder(Secret(TEXT)))
    assert hidden("".join(traceback.format_exception(error)) + repr(error) + repr(error.args))


def test_it_is_neither_copied_nor_written_as_json() -> None:
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(TEXT))
    with pytest.raises(TypeError):
        copy.copy(Secret(TEXT))
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))
    with pytest.raises(TypeError):
        json.dumps(attrs.asdict(Holder(Secret(TEXT))))
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret(TEXT))
    with pytest.raises(TypeError):
        Secret(TEXT).__getstate__()
    assert not hasattr(Secret(TEXT), "__dict__")


@given(st.text(), st.text())
def test_two_are_equal_when_their_texts_are(text: str, other: str) -> None:
    assert (Secret(text) == Secret(other)) == (text == other)
    assert Secret(text) == Secret(text)
    assert hash(Secret(text)) == hash(Secret(text))
    assert Secret(text).reveal() == text
    assert Secret(text) != text


def test_a_fingerprint_is_four_digits_and_tells_two_apart() -> None:
    assert len(Secret(TEXT).fingerprint) == 4
    assert Secret(TEXT).fingerprint != Secret(TEXT[:-1]).fingerprint
