"""What happens to a connection and its requests is decided in `coldframe.exchange`: sockets and virtual time only carry it out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import coldframe

ROOT = Path(coldframe.__file__).parent
CARRIERS = [
    "exchange_server/links/api.py",
    "exchange_server/links/book_waits.py",
    "exchange_server/links/cables.py",
    "exchange_server/links/http_server.py",
    "exchange_server/links/socket.py",
    "exchange_server/links/websocket.py",
    "exchange_server/links/streams.py",
    "runtime/virtual_venue.py",
]
#: Names by which a carrier would judge a request itself.
JUDGED = {"ResponseMode", "FaultDecision", "NO_FAULT", "decide", "say_instead", "injected", "carried_out", "wants_book", "known"}
#: And by which it would judge a handshake.
JUDGED |= {"parse_target", "charge", "banned", "HANDSHAKE_WEIGHT"}
#: Codes of close frames (RFC 6455, 7.4.1) but the first, which is a second in milliseconds everywhere else.
CODES = range(1001, 1016)
PLANTED = """
def carry(decision, context, request):
    if decision.carried_out and context.decide(request):
        return ResponseMode.CUT
    return CloseReason(1008, "Too many requests")
"""


def judged(source: str) -> set[str]:
    """The names and the close codes in a module's code by which it takes a decision that is not its own."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    negated = [node.operand for node in nodes if isinstance(node, ast.UnaryOp)]  # a code of the exchange, such as -1002
    numbers = {node.value for node in nodes if isinstance(node, ast.Constant) and node not in negated and type(node.value) is int}
    return names & JUDGED | {str(number) for number in numbers if number in CODES}


@pytest.mark.parametrize("name", CARRIERS)
def test_a_carrier_judges_no_request(name: str) -> None:
    assert not judged((ROOT / name).read_text())


def test_a_carrier_that_judges_is_found() -> None:
    assert judged(PLANTED) == {"carried_out", "decide", "ResponseMode", "1008"}
