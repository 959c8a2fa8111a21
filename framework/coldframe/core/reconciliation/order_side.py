"""The order side put together: session, user stream, executor, execution reports, reconciliation, and when each is told what.

New risk needs all of it: the order link logged on, the user stream open, and a reconciliation that came through since the last time
either of them was opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never, cast

import attrs

from coldframe.core.connectivity.api_session import (
    Answered,
    ApiFrame,
    Session,
    SessionDown,
    SessionEvent,
    SessionLimits,
    SessionReady,
    Unanswered,
)
from coldframe.core.connectivity.due_checks import DueChecks
from coldframe.core.connectivity.request_ways import RequestWays, as_event
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.unreadable import TOO_MANY, Unreadable
from coldframe.core.connectivity.user_stream import (
    KeepKey,
    ReportsBegin,
    ReportsMissing,
    StartKey,
    UserStream,
    UserStreamEvent,
    UserStreamLimits,
)
from coldframe.core.execution.algo_orders import PendingAlgoQuery
from coldframe.core.execution.countdown_cancel import CountdownCancel, PendingCountdown
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.execution.order_executor import OrderExecutor
from coldframe.core.execution.purposes import PendingAmend, PendingCancel, PendingPlace, PendingQuery
from coldframe.core.marketdata.market import Market
from coldframe.core.reconciliation.account_settings import AccountSettings, AccountWatch, PendingModes
from coldframe.core.reconciliation.asset_prices import AssetPrices, PendingMarkPrice, PendingPrice, PendingRate
from coldframe.core.reconciliation.due_work import DueWork
from coldframe.core.reconciliation.funding_income import FundingIncome, PendingIncome
from coldframe.core.reconciliation.leverage_brackets import PendingBrackets, PendingLeverage
from coldframe.core.reconciliation.open_orders import PendingAlgoConfirm, PendingConfirm, PendingContradictionCancel
from coldframe.core.reconciliation.position_breaks import PositionBreaks
from coldframe.core.reconciliation.rounds import (
    LIGHT,
    PendingOpenAlgos,
    PendingOpenOrders,
    PendingOwner,
    PendingPositions,
    Reconciler,
)
from coldframe.core.reconciliation.startup import StartCheck
from coldframe.core.reconciliation.trade_scan import TRADES_PAGE, PendingTrades, TradeScan
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.external import FILLS_LIMIT, ExternalPolicy
from coldframe.core.state.orders import ENDED_LIMIT, Order
from coldframe.errors import DecodeError
from coldframe.model.effects import CloseLink, Level
from coldframe.model.engine_events import NothingToReduce, OrderCameBack, SettingsDoubted
from coldframe.model.events import LinkChanged, LinkState
from coldframe.model.inputs import (
    LinkLost,
    LinkOpened,
    RequestNotWritten,
    RequestWritten,
    Suspended,
    TimeReached,
)
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.wire.account import (
    AccountConfigUpdate,
    AccountUpdate,
    AlgoUpdate,
    ListenKeyExpired,
    OrderTradeUpdate,
    ServerShutdown,
    TradeLite,
)
from coldframe.wire.codec import Census, decode_user
from coldframe.wire.streams import Message

#: An event that names a listen key is not recorded, whatever its kind: the key is a session secret.
_SECRET: Final = b'"listenKey"'
#: Pause between two ticks while anything is under way (milliseconds).
TICK_MS: Final = 250
#: So many symbols' trades a light round looks at: 40 + 5 + 20 times 5 weight, twice a minute, of the reserved 480.
LIGHT_SYMBOLS: Final = 20

#: What the order side asks for, by the order link or by REST; the answer of each goes to the machine that has asked.
OrderSidePurpose = (
    StartKey
    | KeepKey
    | PendingPlace
    | PendingAmend
    | PendingCancel
    | PendingQuery
    | PendingAlgoQuery
    | PendingOpenOrders
    | PendingOpenAlgos
    | PendingPositions
    | PendingTrades
    | PendingOwner
    | PendingConfirm
    | PendingAlgoConfirm
    | PendingContradictionCancel
    | PendingCountdown
    | PendingIncome
    | PendingPrice
    | PendingMarkPrice
    | PendingRate
    | PendingModes
    | PendingBrackets
    | PendingLeverage
)

#: What the order side takes in by `step`.
OrderSideInput = LinkOpened | LinkLost | RequestWritten | RequestNotWritten | TimeReached | Suspended


@attrs.frozen(kw_only=True)
class OrderSideLimits:
    """How the order side behaves; see the classes of the parts."""

    recv_window_ms: int = 5_000
    #: Countdown of the dead man's switch; 0: none.
    dead_man_ms: int = 0
    session: SessionLimits = SessionLimits()
    external: ExternalPolicy = ExternalPolicy.REFUSE
    halt_on_mismatch: bool = True
    user_stream: UserStreamLimits = UserStreamLimits()
    #: How the account has to be set; the position mode stands in the state.
    account: AccountSettings = AccountSettings()
    #: How many trades one query brings, and how much memory keeps (both in number): bounds that never bound what is true.
    trades_page: int = TRADES_PAGE
    ended_orders: int = ENDED_LIMIT
    external_fills: int = FILLS_LIMIT


class OrderSide:
    """Everything between an accepted intent and the venue."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        calls: RestQueue,
        market: Market,
        reports: ExecutionReports,
        switches: CountdownCancel,
        *,
        can_log_on: bool,
        limits: OrderSideLimits,
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._orders = state.orders
        self.reports = reports
        self.session = Session(ctx, can_log_on, limits.session)
        ways = RequestWays(ctx, self.session, calls)
        self.user_stream = UserStream(ctx, ways, limits.user_stream)
        wired = (self.session, ways, self.user_stream)
        self.executor = OrderExecutor(state, ctx, *wired, calls, reports, limits.recv_window_ms)
        symbols = {symbol for account in state.accounts.values() for symbol in account.symbols}
        wanted = attrs.evolve(limits.account, hedge=state.hedge)
        self.watch = AccountWatch(state, ctx, calls, wanted, symbols)
        self.account = FundingIncome(state, ctx, calls)
        self.assets = AssetPrices(state, ctx, calls, market, min(symbols, default=""))
        self.mismatches = PositionBreaks(state, ctx, reports, halt=limits.halt_on_mismatch)
        scan = TradeScan(state, ctx, calls, reports, limits.trades_page)
        start = StartCheck(state, ctx, reports, limits.external)
        self.reconciler = Reconciler(state, ctx, calls, reports, self.executor, scan, start, self._unbroken)
        self.countdown_cancel = switches
        self.census = Census()
        self._unreadable = Unreadable()
        parts = (self.executor, scan, self.account, self.assets, self.watch, self.mismatches, switches)
        self.due_work = DueWork(state, ctx, *parts)
        self._ticks = DueChecks("orders:tick", TICK_MS)
        #: Whether this step is a tick, whether anything has come in since the last one, and whether the next one is asked for.
        self._ticked = self._stirred = self._soon = False
        self._last_light: list[str] = []

    @property
    def reports_complete(self) -> bool:
        """Whether everything the venue says about our orders is known to reach us."""
        return self.user_stream.up and self.reconciler.done

    @property
    def reconnects(self) -> int:
        return self.session.reconnects + self.user_stream.reconnects

    def start(self) -> None:
        self.executor.inquiry.begin()
        self.session.start()
        self.watch.begin()
        self._state.holdings.history.begin()
        self._ticks.begin(self._ctx.now_ns)
        self._stirred = True

    def owns(self, link: str) -> bool:
        return self.session.owns(link) or self.user_stream.owns(link)

    def step(self, event: OrderSideInput) -> None:
        """Takes in one input of its own links, requests and times."""
        self._stirred = True
        match event:
            case LinkOpened() | LinkLost():
                self._of_link(event)
            case RequestWritten():
                self.executor.step(event)
            case RequestNotWritten():
                self._apply_session(self.session.step(event))
            case TimeReached():
                self._woken(event)
            case Suspended():
                self._suspended()
            case unknown:
                assert_never(unknown)

    # -- links --------------------------------------------------------------------------------------------------------

    def _of_link(self, event: LinkOpened | LinkLost) -> None:
        if self.session.owns(event.link):
            self._apply_session(self.session.step(event))
            return
        if isinstance(event, LinkLost):
            self._unreadable.forget(event.link)
        self._apply_reports(self.user_stream.step(event))

    def take_frame(self, link: str, frame: bytes) -> None:
        """Takes in one frame of its own links, which may be closed for what it brings."""
        self._stirred = True
        if self.session.owns(link):
            self._apply_session(self.session.step(ApiFrame(link, frame)))
        elif self.user_stream.owns(link):
            self._user_frame(link, frame)

    # -- answers ------------------------------------------------------------------------------------------------------

    def answered(self, purpose: OrderSidePurpose, event: Answered | Unanswered | Returned) -> None:
        """The one table of what follows an answer, whichever way its request took: it goes to the machine that has asked.

        What only goes by REST comes back by REST.
        """
        returned = cast("Returned", event)
        self._stirred = True
        match purpose:
            case StartKey() | KeepKey():
                self._apply_reports(self.user_stream.step(as_event(event)))
            case PendingPlace() | PendingAmend() | PendingCancel() | PendingQuery() | PendingAlgoQuery():
                self.executor.step(event)
            case PendingOpenOrders() | PendingOpenAlgos() | PendingPositions() | PendingTrades() | PendingOwner():
                self.reconciler.step(returned)
            case PendingConfirm() | PendingAlgoConfirm() | PendingContradictionCancel():
                self.reconciler.listed.step(returned)
            case PendingCountdown():
                self.countdown_cancel.step(returned)
            case PendingIncome():
                self.account.step(returned)
            case PendingPrice() | PendingMarkPrice() | PendingRate():
                self.assets.step(returned)
            case PendingModes() | PendingBrackets() | PendingLeverage():
                self.watch.step(returned)
            case unknown:
                assert_never(unknown)

    def _apply_session(self, events: Sequence[SessionEvent]) -> None:
        for event in events:
            match event:
                case Answered() | Unanswered():
                    if isinstance(event, Unanswered) and event.written:
                        self.executor.ways.unanswered()
                    self.answered(cast("OrderSidePurpose", event.purpose), event)
                case SessionReady():
                    self._publish_link("api", LinkState.UP)
                    self._apply_reports(self.user_stream.step(event))
                    if self.user_stream.up:
                        self.reconciler.begin("order link opened", self._symbols())
                case SessionDown(reason):
                    self.executor.ways.unanswered()
                    self.reconciler.outdated()
                    self._publish_link("api", LinkState.DOWN, reason)
                case unknown:
                    assert_never(unknown)

    def _apply_reports(self, events: Sequence[UserStreamEvent]) -> None:
        """What the user stream says of the reports."""
        for event in events:
            match event:
                case ReportsBegin():
                    self._publish_link("private", LinkState.UP)
                    self.reconciler.begin("user stream opened", self._symbols())
                case ReportsMissing(reason):
                    self._reports_missing(reason)
                case unknown:
                    assert_never(unknown)

    def follow_up(self, event: OrderCameBack | NothingToReduce | SettingsDoubted) -> None:
        """Does what follows from what has happened in this step."""
        self._stirred = True
        match event:
            case OrderCameBack(client_order_id):
                self.executor.depart(client_order_id)
            case NothingToReduce():
                self._nothing_to_reduce(event)
            case SettingsDoubted():
                self.watch.step(event)
            case unknown:
                assert_never(unknown)

    def _nothing_to_reduce(self, event: NothingToReduce) -> None:
        """A position that the venue has just had nothing to reduce in is asked for, with its trades."""
        self.mismatches.step(event)
        self.reconciler.begin("nothing to reduce", self._symbols(), urgent=False)

    def _reports_missing(self, reason: str) -> None:
        """The user stream is down: what is said about our orders does not reach us."""
        self.account.away()
        self._orders.unreport()
        self.reconciler.outdated()
        self._publish_link("private", LinkState.DOWN, reason)

    def _publish_link(self, link: str, state: LinkState, reason: str = "") -> None:
        self._ctx.publish(LinkChanged(link, self._ctx.now_ns, state, reason))

    # -- reports ------------------------------------------------------------------------------------------------------

    def _user_frame(self, link: str, frame: bytes) -> None:
        try:
            event = decode_user(frame, self.census)
            if _SECRET not in frame:
                self._ctx.record(RowKind.REPORT, type(event).__name__, {"text": frame.decode(errors="replace")})
            self._user_event(link, event)
        except (DecodeError, ValueError) as error:
            self._ctx.log(Level.WARNING, f"user stream: unreadable event: {error}")
            self._orders.unreport()
            self.reconciler.begin("unreadable report", self._symbols())
            if self._unreadable.too_many(link, self._ctx.now_ns) and self.user_stream.owns(link):
                self._ctx.emit(CloseLink(link, TOO_MANY))
                self._of_link(LinkLost(link, TOO_MANY))

    def _user_event(self, link: str, event: Message) -> None:
        order: Order | None = None
        match event:
            case OrderTradeUpdate():
                order = self.reports.step(event.order)
            case TradeLite():
                order = self.reports.step(event)
            case AlgoUpdate():
                order = self.executor.conditionals.step(event)
            case AccountUpdate():
                self.watch.step(event)
                self.account.step(event)
            case AccountConfigUpdate():
                self.watch.step(event)
            case ListenKeyExpired():
                self._apply_reports(self.user_stream.step(event))
            case ServerShutdown():
                self._ctx.emit(CloseLink(link, "the venue announced a shutdown"))
                self._of_link(LinkLost(link, "the venue announced a shutdown"))
            case _:
                pass  # margin calls and the like are journaled with every report and change nothing here
        if order is not None:
            self.executor.reported(order)

    # -- what is due --------------------------------------------------------------------------------------------------

    def _woken(self, event: TimeReached) -> None:
        match event.key.split(":", 1)[0]:
            case "session":
                self._apply_session(self.session.step(event))
            case "user":
                self._apply_reports(self.user_stream.step(event))
            case "reconcile":
                self._round_due(event.key)
            case _:
                self._tick(event)

    def _round_due(self, key: str) -> None:
        if not self.user_stream.up and self.reconciler.at_start is not None:
            return  # its opening starts the first round; later ones tell what the stream does not, however long it stays away
        match key:
            case "reconcile:again":
                self.reconciler.begin("again", self._symbols())
            case "reconcile:differ":
                self.reconciler.begin("positions differ", self._symbols(), urgent=False)
            case _:
                self.reconciler.begin(LIGHT, self._light_symbols(), urgent=False)

    def _tick(self, event: TimeReached) -> None:
        self._ticks.taken()
        self._ticked, self._soon = True, False
        if self.due_work.perform(event, complete=self.reports_complete):
            self.reconciler.begin("orders of unknown fate", self._symbols(), urgent=False)

    def ask_for_tick(self) -> None:
        """At the end of a step: asks for the tick at which there is something to do.

        After an input of its own, and while orders live, that is the next one; a step that brings neither changes nothing.
        """
        if self._ticked:
            due_ns = self.due_work.next_due_ns()
        elif not self._soon and (self._stirred or self._orders.live):
            due_ns = self._ctx.now_ns
        else:
            return
        self._ticked = self._stirred = False
        self._soon = due_ns <= self._ctx.now_ns
        self._ctx.check(self._ticks, due_ns)

    def _symbols(self) -> set[str]:
        """Symbols in which fills may be missing: of live orders, of ended ones that owe some, of positions, ours or the venue's.

        Positions that stand against each other come to nothing on the account, and count all the same.
        """
        symbols = {order.symbol for order in self._orders.live if order.state is not OrderState.PENDING_SUBMIT}
        symbols |= {order.symbol for order in self._orders.owed} | self._orders.unscanned
        symbols |= {key[0] for key in self._state.holdings.position_keys() if any(self._state.holdings.held(key).values())}
        return symbols | self.reconciler.holding | self.mismatches.symbols

    def _light_symbols(self) -> set[str]:
        """For a light round so many of them that it stays inside the reserved share of the limits, others every time."""
        doubtful = set(self._orders.unsettled.symbols)
        late = sorted(self._symbols() - doubtful, key=lambda symbol: (symbol in self._last_light, symbol))[:LIGHT_SYMBOLS]
        self._last_light = [*(symbol for symbol in self._last_light if symbol not in late), *late][-10 * LIGHT_SYMBOLS :]
        return doubtful | set(late)

    def compare(self, reason: str) -> None:
        """Begins a round now: nothing counts as complete until it is through."""
        self.reconciler.outdated()
        if self.user_stream.up:
            self.reconciler.begin(reason, self._symbols())

    def _unbroken(self, since_ns: int) -> bool:
        """Whether reports have come without a gap since then."""
        return self.user_stream.up and 0 < self.user_stream.since_ns <= since_ns

    def _suspended(self) -> None:
        """We were not there for a while: nothing is believed until it has been compared."""
        self.user_stream.suspended()
        self.account.away()
        self._orders.unreport()
        self.reconciler.outdated()
        if self.user_stream.up:
            self.reconciler.begin("after a suspend", self._symbols())

    def stop(self) -> None:
        """The run is over: nothing more is expected from the user stream."""
        self.user_stream.stop()
