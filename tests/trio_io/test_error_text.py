"""Why something did not work, in words for people."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
import trio

from coldframe.trio_io.error_text import first_error, one_line, reason_of


def chained(outer: BaseException, cause: BaseException) -> BaseException:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Error connecting to ('127.0.0.1', 1): Connection refused"),
            "Connection refused",
        ),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError("all attempts failed"), "OSError"),
        (trio.TooSlowError(), "no whole answer in time"),
        (trio.BrokenResourceError(), "the connection broke"),
        (chained(trio.BrokenResourceError(), ConnectionResetError(errno.ECONNRESET, "x")), "Connection reset by peer"),
        (chained(OSError("all attempts failed"), ExceptionGroup("", [OSError(errno.ENETUNREACH, "x")])), "Network is unreachable"),
        (chained(trio.BrokenResourceError(), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")), "TLS failed"),
        (KeyError("secret"), "KeyError"),
    ],
)
def test_the_cause_at_the_bottom(error: BaseException, said: str) -> None:
    assert reason_of(error).startswith(said)
    assert "127.0.0.1" not in reason_of(error)


def test_a_chain_that_bites_its_tail() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert reason_of(first) == "ValueError"


def test_the_first_error_of_nested_groups() -> None:
    inner = ValueError("first")
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [inner, TypeError()]), KeyError()])
    assert first_error(group) is inner
    assert first_error(inner) is inner


def test_x18_what_a_peer_said_cannot_move_the_cursor() -> None:
    assert one_line("a\r\nb\x1b[2Jc\x07d") == "a  b [2Jc d"
    assert len(one_line("x" * 1_000)) == 200
    assert one_line("币安", 1) == "币"
