"""The two ways of a cancel, a query or a listen key: the order link, and REST where it is down or has left something unanswered.

A new order or an amendment never goes by REST: sent twice it would add risk. The others may be repeated, so the second way is
always open to them. Whichever way is taken, its cost is counted once. Source: protocol.md 6.4, 7 and 8.1; faults.md O8, O40.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from coldframe.core.connectivity.api_session import Answered, Session, Unanswered
from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.units import NS_PER_MS

#: How long the order link is avoided after it has left a request unanswered (milliseconds).
AVOID_MS: Final = 10_000
#: What of the WebSocket API may go by REST, and as which call.
BY_REST: Final[Mapping[str, tuple[str, str]]] = {
    "order.cancel": ("DELETE", "/fapi/v1/order"),
    "order.status": ("GET", "/fapi/v1/order"),
    "algoOrder.cancel": ("DELETE", "/fapi/v1/algoOrder"),
    "userDataStream.start": ("POST", "/fapi/v1/listenKey"),
    "userDataStream.ping": ("PUT", "/fapi/v1/listenKey"),
}


class RequestWays:
    """Sends by the way that works."""

    def __init__(self, ctx: StepContext, session: Session, calls: RestQueue) -> None:
        self._ctx = ctx
        self._session = session
        self._calls = calls
        self._avoid_until_ns = 0

    @property
    def link_works(self) -> bool:
        """Whether the order link stands, and has answered whatever was asked of it lately."""
        return self._session.ready and self._ctx.now_ns >= self._avoid_until_ns

    def unanswered(self) -> None:
        """The order link has left a request without an answer."""
        self._avoid_until_ns = self._ctx.now_ns + AVOID_MS * NS_PER_MS

    def send(self, method: str, params: Mapping[str, str | int], purpose: RequestPurpose, *, by_rest: bool = False) -> int:
        """Sends one of `BY_REST`: 0 when it is on its way, else the venue time at which there is room for it.

        By REST it may wait in the queue of calls; a call that waits or is under way for this purpose is not repeated.
        """
        if self.link_works and not by_rest:
            wait_until = self._session.cost_fits(method, {}, Priority.NEEDED)
            if not wait_until:
                self._session.request(method, params, purpose)
            return wait_until
        if not self._calls.busy(purpose):
            self._calls.call(*BY_REST[method], params, purpose)
        return 0


def as_event(returned: Answered | Unanswered | Returned) -> Answered | Unanswered:
    """What came back by REST, as if it had come back by the order link."""
    if not isinstance(returned, Returned):
        return returned
    answer = returned.answer
    if answer is None:
        return Unanswered(returned.purpose, returned.reason)
    if answer.status == 200:
        return Answered(returned.purpose, answer.status, answer.body, None)
    return Answered(returned.purpose, answer.status, None, answer.fault)
