"""The exchange without its sockets: accounts, orders, limits, keys and streams over the markets of its contracts.

Everything happens inside a call that brings the time; nothing here waits, reads a clock or writes to a socket. Private events come
out of `take_private` in the order in which the exchange sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import attrs

from coldframe.enums import ContractStatus, ExecutionType
from coldframe.exchange.changes import Changes
from coldframe.exchange.endpoints.authentic import KeyRing
from coldframe.exchange.endpoints.counters import Counters
from coldframe.exchange.endpoints.listenkeys import ListenKeys
from coldframe.exchange.keys import AccountKeys
from coldframe.exchange.market.sessions import Calendar
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.symbol_market import SymbolMarket
from coldframe.exchange.randomness import Randomness
from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.exchange.settings import VenueAccount, VenueChange
from coldframe.exchange.trading.account_store import AccountStore
from coldframe.exchange.trading.amending import Amender
from coldframe.exchange.trading.clearing import Clearing
from coldframe.exchange.trading.conditional import Conditionals
from coldframe.exchange.trading.delisting import Delisting
from coldframe.exchange.trading.entities import Account, LastPrices
from coldframe.exchange.trading.exchange_state import ExchangeState
from coldframe.exchange.trading.liquidation import Liquidator
from coldframe.exchange.trading.order_entry import OrderEntry
from coldframe.exchange.trading.preferences import CountdownTimers, Preferences
from coldframe.exchange.trading.settlement import BNB
from coldframe.wire.account import ListenKeyExpired, OrderTradeUpdate, TradeLite, UserEvent
from coldframe.wire.codec import encode

_SECOND_MS = 1000
#: States between which a session's end and beginning move a contract.
_IN_SESSION = (ContractStatus.TRADING, ContractStatus.TRADING_HALT)
_BASIS_POINT = Decimal("0.0001")
_WAITING = (
    "the accounts hold positions or orders in {symbol}, which this venue does not list (venue.embedded.symbols):"
    " they stand still until it does"
)


@attrs.frozen
class PrivateEvent:
    """One event for all who listen under a listen key."""

    listen_key: str
    kind: str
    payload: bytes
    #: Whether it tells of a fill.
    fill: bool = False


def _none(symbol: str, now_ms: int) -> SymbolMarket | None:
    """The market of a venue whose list of contracts stays as it is."""
    return None


class Exchange:
    """All of the venue that is not a socket. `introduce` makes the market of a contract that is listed during the run."""

    def __init__(
        self,
        settings: Settings,
        markets: Mapping[str, SymbolMarket],
        keys: Sequence[AccountKeys],
        store: AccountStore,
        start_ms: int,
        randomness: Randomness,
        introduce: Callable[[str, int], SymbolMarket | None] = _none,
    ) -> None:
        self.settings = settings
        self._introduce = introduce
        self.markets = dict(markets)
        self.store = store
        for account in settings.accounts:
            books = store.add(_account(account))
            books.account.maker_fee, books.account.taker_fee = _fees(account)
            books.account.tradfi_signed |= account.tradfi_agreement
        fixed_rates = {BNB: settings.bnb_index}
        self.calendar = Calendar(settings.session_s)
        self.streams = Streams((market.public_data for market in markets.values()), fixed_rates, self.calendar)
        self.state = ExchangeState(store, self.markets, start_ms, settings.long_ids, fixed_rates)
        self.clearing = Clearing(self.state, randomness.seeded(f"{settings.seed}:events"))
        self.order_entry = OrderEntry(self.state, self.clearing)
        self.amender = Amender(self.state, self.order_entry)
        self.conditionals = Conditionals(self.state, self.order_entry, settings.faults.close_position_lag_ms)
        self.liquidator = Liquidator(self.state, self.order_entry, self.clearing)
        self.delisting = Delisting(self.state, self.order_entry, self.clearing)
        self.preferences = Preferences(self.state)
        self.countdown_timers = CountdownTimers()
        self.keys = KeyRing(keys)
        self.listen_keys = ListenKeys(int(settings.listen_key_lifetime_s * 1000), randomness.token)
        banned_until = start_ms + settings.faults.banned_for_s * 1000 if settings.faults.banned_for_s else 0
        self.counters = Counters(settings.limits, banned_until)
        self._changes = Changes(settings.changes, start_ms)
        self._second = 0
        self._ended_keys: list[PrivateEvent] = []
        self._keep_sessions(start_ms)
        self.order_entry.restore(start_ms, self.markets)
        self._notices = [_WAITING.format(symbol=symbol) for symbol in self.state.unlisted()]

    def advance(self, now_ms: int) -> None:
        """Runs everything that time alone brings about."""
        self._changes.carry_out(self, now_ms)
        self.order_entry.expire_dated(now_ms)
        self.conditionals.check(now_ms)
        for account, symbol in self.countdown_timers.run_out(now_ms):
            self.order_entry.cancel_all(account, symbol, now_ms)
        self._tell_expired(self.listen_keys.expire(now_ms), now_ms)
        if now_ms // _SECOND_MS != self._second:
            self._second = now_ms // _SECOND_MS
            self._keep_sessions(now_ms)
            self.clearing.fund(now_ms)
            self.liquidator.check(now_ms)
        self.store.commit()

    def admit(self, symbol: str, now_ms: int) -> SymbolMarket | None:
        """Takes a contract that was not listed so far, if the market knows it; its streams speak to those who listen already."""
        market = self._introduce(symbol, now_ms)
        if market is not None:
            market.public_data.now_ms = now_ms
            self.markets[symbol] = market
            self.conditionals.follow(market)
            self.streams.admit(market.public_data)
            self.order_entry.restore(now_ms, (symbol,))
        return market

    def change(self, change: VenueChange, now_ms: int) -> str | None:
        """Changes something now, as the plan does at its time. Gives why it is refused, or None when it is done."""
        refusal = self._changes.make(self, change, now_ms)
        self.store.commit()
        return refusal

    def take_notices(self) -> list[str]:
        """What the operator is to know since the last call, in words: planned changes that were refused, contracts that lack."""
        taken = self._notices + self._changes.refusals
        self._notices, self._changes.refusals = [], []
        return taken

    def _keep_sessions(self, now_ms: int) -> None:
        """Halts simulated TradFi contracts while their market is closed, and opens them again, when closes are rehearsed.

        By the calendar they trade through, as on the exchange; strict clients do not know the word for a halt either.
        """
        for market in self.markets.values() if self.settings.session_s else ():
            contract = market.contract
            if contract.tradfi and market.shows_orders and contract.info.status in _IN_SESSION:
                opens = self.calendar.open(contract.info.underlying_type, now_ms)
                status = ContractStatus.TRADING if opens else ContractStatus.TRADING_HALT
                if contract.info.status is not status:
                    market.public_data.contract_changed(contract.with_status(status), new_brackets=False)

    def end_listen_keys(self, now_ms: int, *, told: bool) -> None:
        """Lets every listen key expire before its time, with or without a word."""
        ended = self.listen_keys.end_all()
        if told:
            self._tell_expired(ended, now_ms)

    def _tell_expired(self, ended: Sequence[tuple[str, str]], now_ms: int) -> None:
        for _, key in ended:
            event = ListenKeyExpired(event="listenKeyExpired", event_ms=now_ms, listen_key=key)
            self._ended_keys.append(PrivateEvent(key, event.event, encode(event)))

    def note_last_prices(self, now_ms: int) -> None:
        """Writes down where the market stands, for a venue that is started again."""
        prices = {symbol: market.public_data.last_price for symbol, market in self.markets.items()}
        self.store.note(LastPrices(prices=prices, at_ms=now_ms))

    def take_private(self) -> list[PrivateEvent]:
        """The private events since the last call, for accounts that have a listen key; all others are lost, as they are there."""
        taken, self._ended_keys = self._ended_keys, []
        for account, event in self.state.take_events():
            key = self.listen_keys.key_of(account)
            if key is not None:
                taken.append(PrivateEvent(key, event.event, encode(event), _tells_fill(event)))
        return taken


def _tells_fill(event: UserEvent) -> bool:
    return isinstance(event, TradeLite) or (isinstance(event, OrderTradeUpdate) and event.order.execution is ExecutionType.TRADE)


def _account(account: VenueAccount) -> Account:
    maker_fee, taker_fee = _fees(account)
    return Account(
        name=account.name,
        wallet=account.balance,
        default_leverage=account.leverage,
        hedge=account.hedge_mode,
        bnb=account.bnb_balance,
        fee_burn=account.fee_burn,
        tradfi_signed=account.tradfi_agreement,
        maker_fee=maker_fee,
        taker_fee=taker_fee,
    )


def _fees(account: VenueAccount) -> tuple[Decimal, Decimal]:
    return account.maker_fee_bps * _BASIS_POINT, account.taker_fee_bps * _BASIS_POINT
