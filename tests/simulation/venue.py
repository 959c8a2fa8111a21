"""The virtual venue with what tests do to it: refuse, fall silent, vanish; and with a look into the exchange's own books."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.connectivity.signing import HmacSigner, Signer
from coldframe.enums import PositionSide
from coldframe.exchange.endpoints.connection_life import SendPing
from coldframe.exchange.endpoints.rest import RestAnswer, RestRequest
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.exchange.faults import FaultDecision, ResponseMode
from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.request_handling import ApiRequests, RestRequests
from coldframe.exchange.trading.account_store import AccountBooks
from coldframe.exchange.trading.entities import Algo, Order
from coldframe.model.effects import LinkKind
from coldframe.runtime import virtual_venue
from coldframe.runtime.virtual_venue import REST_TIMEOUT_MS, Client, Later, as_answer, rest_request
from coldframe.secret import Secret
from coldframe.wire.api import ApiRequest
from coldframe.wire.codec import encode
from coldframe.wire.replies import ErrorBody
from coldframe.wire.requests import Fault
from coldframe.wire.rest import Answer

#: What becomes of a request that gets lost on its way.
LOST = FaultDecision(carried_out=False, ending=ResponseMode.SILENT)
#: What becomes of a request whose answer gets lost on its way.
UNANSWERED = FaultDecision(ending=ResponseMode.SILENT)

__all__ = ["LOST", "REST_TIMEOUT_MS", "UNANSWERED", "VirtualVenue", "as_answer", "refused", "rest_request"]


class VirtualVenue(virtual_venue.VirtualVenue):
    """The virtual venue, in the hands of a test."""

    def __init__(self, settings: Settings, source: MarketSource, now_ms: Callable[[], int], later: Later) -> None:
        super().__init__(settings, source, now_ms, later)
        #: Whether connects are refused, by kind of connection: what a test switches on and off.
        self.refuses: set[LinkKind] = set()
        #: Connections, by kind, whose client answers no pings.
        self.deaf: set[LinkKind] = set()
        #: Calls (verb and path) that find nothing, whatever there is.
        self.finds_nothing: set[str] = set()
        #: Calls that are refused as the venue refuses what it cannot do now, and not carried out.
        self.busy: set[str] = set()
        #: What becomes of requests, by method or by verb and path, whatever the fault plan says.
        self.fates: dict[str, FaultDecision] = {}
        #: Requests that were carried out: the WebSocket API's methods, and verb and path of REST, with their parameters.
        self.carried_out: list[tuple[str, Mapping[str, object]]] = []

    def connect(self, link: str, kind: LinkKind, path: str, client: Client) -> bool:
        return kind not in self.refuses and super().connect(link, kind, path, client)

    def vanish(self, reason: str) -> None:
        """The exchange can be reached no longer, for this reason: every connection falls, and nothing gets through."""
        self.unreachable = reason
        for kind in LinkKind:
            self.cut(kind)

    def cut(self, kind: LinkKind, reason: str = "cut by the exchange") -> None:
        """Cuts every connection of a kind, without a word."""
        for link in [socket.link for socket in self.sockets.values() if socket.kind is kind]:
            self._drop(link, reason)

    def stop_reading(self, link: str) -> None:
        """The client reads nothing that comes from now on."""
        self.sockets[link].reads = False

    def read_again(self, socket: virtual_venue.Socket) -> None:
        """The client reads what has waited for it, and all that follows."""
        socket.reads = True
        socket.go_on_writing()

    def pinged(self, socket: virtual_venue.Socket, ping: SendPing) -> None:
        if socket.kind not in self.deaf:
            super().pinged(socket, ping)

    def api_requests(self, session: ApiSession) -> ApiRequests:
        return WatchedApi(self, session)

    def rest_requests(self) -> RestRequests:
        return WatchedRest(self)

    def other_signer(self, account: int = 0) -> Signer:
        """The signer of another client on the same account: HMAC."""
        keys = self.keys[account]
        return HmacSigner(Secret(keys.hmac_api_key), Secret(keys.hmac_secret))

    def by_hand(self, verb: str, path: str, params: Mapping[str, str | int], account: int = 0) -> Answer:
        """Another client on the account makes a REST call, and nothing goes wrong with it."""
        request = rest_request(verb, path, params, self.other_signer(account), self.now_ms())
        return as_answer(self.answer(request))

    # -- the exchange's own books -------------------------------------------------------------------------------------

    def books(self, account: int = 0) -> AccountBooks:
        """Everything that the exchange knows about an account."""
        return self.exchange.store.books[self.keys[account].account]

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH, account: int = 0) -> Decimal:
        """The account's signed position."""
        return self.books(account).account.position(symbol, side).quantity

    def open_orders(self, account: int = 0) -> dict[str, Order]:
        """The account's open ordinary orders by client order id."""
        return {order.client_id: order for order in self.books(account).open.values()}

    def countdowns(self, account: int = 0) -> dict[str, int]:
        """When the account's dead man's switches run out, by symbol."""
        timers = self.exchange.countdown_timers._due_ms
        return {symbol: due_ms for (name, symbol), due_ms in timers.items() if name == self.keys[account].account}

    def waiting_orders(self, account: int = 0) -> dict[str, Algo]:
        """The account's conditional orders that wait for their trigger, by client order id."""
        return {algo.client_id: algo for algo in self.books(account).open_algos.values()}


def refused(code: int, text: str = "no", status: int = 400) -> FaultDecision:
    """What becomes of a request that is refused in these words, and not carried out."""
    return FaultDecision(carried_out=False, instead=Fault(code, text), status=status)


class WatchedApi(ApiRequests):
    """Requests of the WebSocket API, to some of which a test has given another end."""

    def __init__(self, venue: VirtualVenue, session: ApiSession) -> None:
        super().__init__(venue.context, session)
        self._venue = venue

    def decide(self, asked: ApiRequest) -> FaultDecision:
        decision = super().decide(asked)
        return self._venue.fates.get(asked.method, decision)

    def perform(self, asked: ApiRequest | None, frame: bytes) -> bytes:
        if asked is not None:
            self._venue.carried_out.append((asked.method, dict(asked.params)))
        return super().perform(asked, frame)


class WatchedRest(RestRequests):
    """REST calls, to some of which a test has given another end."""

    def __init__(self, venue: VirtualVenue) -> None:
        super().__init__(venue.context)
        self._venue = venue

    def decide(self, call: str, params: Mapping[str, object]) -> FaultDecision:
        decision = super().decide(call, params)
        return self._venue.fates.get(call, decision)

    def answer(self, request: RestRequest) -> RestAnswer:
        venue = self._venue
        if request.call in venue.busy:
            venue.turn()
            return RestAnswer(400, (), encode(ErrorBody(-1001, "Internal error; unable to process your request.")))
        if request.call in venue.finds_nothing:
            venue.turn()
            return RestAnswer(200, (), b"[]")
        venue.carried_out.append((request.call, request.params))
        return super().answer(request)
