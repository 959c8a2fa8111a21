"""What the venue remembers of its accounts, as entities that can be written down and read back.

Amounts are exact decimals; money is kept to eight digits, as the exchange books it. Every entity has a tag, so that one
file can hold all of them.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec
from msgspec import field

from coldframe.enums import (
    AlgoStatus,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from coldframe.errors import DecodeError
from coldframe.units import ZERO
from coldframe.wire.replies import Income, MarginChange, UserTrade
from coldframe.wire.strict import run

#: Digits that a number may have: far more than one that came of trading.
_MOST_DIGITS: Final = 64
_LARGEST: Final[int] = 10**_MOST_DIGITS
_CENTS: Final = Decimal("0.00000001")
_ENTRY: Final = Decimal("0.000000000001")
_OPEN: Final = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


def cents(value: Decimal) -> Decimal:
    """An amount of money as it is booked: eight digits, ties to even."""
    return value.quantize(_CENTS, rounding=ROUND_HALF_EVEN)


def entry_digits(value: Decimal) -> Decimal:
    """An entry price as it is kept: twelve digits, ties to even."""
    return value.quantize(_ENTRY, rounding=ROUND_HALF_EVEN)


class Entity(msgspec.Struct, kw_only=True, eq=False, tag_field="k"):
    """What the account store writes down; `AnyEntity` lists the kinds."""


class Position(msgspec.Struct, kw_only=True, eq=False):
    """One position. The quantity is signed in one-way mode and for shorts in hedge mode alike."""

    symbol: str
    side: PositionSide
    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    #: Profit realised since the position was opened, minus fees: what moves the break-even price.
    carry: Decimal = ZERO
    #: All profit ever realised in this symbol, before fees.
    realized: Decimal = ZERO
    #: Margin set apart for an isolated position.
    isolated_wallet: Decimal = ZERO
    #: Since when it has been held in its present direction.
    opened_ms: int = 0
    updated_ms: int = 0

    def unrealized(self, mark: Decimal) -> Decimal:
        """Profit at a mark price."""
        return self.quantity * (mark - self.entry)

    def break_even(self) -> Decimal:
        """The price at which closing would leave neither profit nor loss, fees so far included."""
        return entry_digits(self.entry - self.carry / self.quantity) if self.quantity else ZERO


class SymbolSettings(msgspec.Struct, kw_only=True, eq=False):
    """What an account has set for one symbol."""

    leverage: int
    isolated: bool = False


class Account(Entity, kw_only=True, eq=False, tag="account"):
    """One account: its wallet in USDT (and BNB for fees), its modes, its positions."""

    name: str
    wallet: Decimal
    default_leverage: int
    bnb: Decimal = ZERO
    #: Whether fees are paid in BNB while there is enough of it.
    fee_burn: bool = False
    hedge: bool = False
    multi_assets: bool = False
    maker_fee: Decimal = ZERO
    taker_fee: Decimal = ZERO
    #: Whether the agreement on TradFi perpetuals is signed; without it their orders are refused (-4411).
    tradfi_signed: bool = False
    settings: dict[str, SymbolSettings] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    updated_ms: int = 0

    def of_symbol(self, symbol: str) -> SymbolSettings:
        """Leverage and margin mode of a symbol."""
        found = self.settings.get(symbol)
        if found is None:
            found = self.settings[symbol] = SymbolSettings(leverage=self.default_leverage)
        return found

    def position(self, symbol: str, side: PositionSide) -> Position:
        """The position of a symbol and side, empty if there never was one."""
        key = f"{symbol}/{side}"
        found = self.positions.get(key)
        if found is None:
            found = self.positions[key] = Position(symbol=symbol, side=side)
        return found

    def sides(self) -> tuple[PositionSide, ...]:
        """The position sides that this account's mode knows."""
        return (PositionSide.LONG, PositionSide.SHORT) if self.hedge else (PositionSide.BOTH,)

    @property
    def cross_wallet(self) -> Decimal:
        """The wallet without what is set apart for isolated positions."""
        return self.wallet - sum((position.isolated_wallet for position in self.positions.values()), ZERO)


class Order(Entity, kw_only=True, eq=False, tag="order"):
    """One ordinary order."""

    order_id: int
    account: str
    symbol: str
    client_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    created_ms: int
    updated_ms: int
    status: OrderStatus = OrderStatus.NEW
    filled: Decimal = ZERO
    quote: Decimal = ZERO
    reduce_only: bool = False
    #: Whether it may only reduce a position, by its own word or by hedge mode.
    closing: bool = False
    close_position: bool = False
    price_match: PriceMatch = PriceMatch.NONE
    prevention: SelfTradePrevention = SelfTradePrevention.NONE
    good_till_ms: int = 0
    original_type: OrderType = OrderType.LIMIT
    stop_price: Decimal = ZERO
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    price_protect: bool = False
    modify_id: int | None = None
    modifications: int = 0

    @property
    def left(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def open(self) -> bool:
        return self.status in _OPEN

    @property
    def with_position(self) -> bool:
        """Whether it lives only as long as the position that it would close."""
        return self.time_in_force is TimeInForce.GTE_GTC

    @property
    def average(self) -> Decimal:
        return self.quote / self.filled if self.filled else ZERO


class Algo(Entity, kw_only=True, eq=False, tag="algo"):
    """One conditional order: it becomes an ordinary one when its trigger is reached."""

    algo_id: int
    account: str
    symbol: str
    client_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    trigger_price: Decimal
    created_ms: int
    updated_ms: int
    status: AlgoStatus = AlgoStatus.NEW
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    price_match: PriceMatch = PriceMatch.NONE
    prevention: SelfTradePrevention = SelfTradePrevention.NONE
    close_position: bool = False
    price_protect: bool = False
    reduce_only: bool = False
    good_till_ms: int = 0
    #: Trailing orders: when they wake, how far they trail, the best price since, whether they are awake.
    activate_price: Decimal | None = None
    callback_rate: Decimal | None = None
    extreme: Decimal | None = None
    active: bool = False
    trigger_ms: int = 0
    order_id: int | None = None
    reason: str = ""

    @property
    def open(self) -> bool:
        return self.status is AlgoStatus.NEW

    @property
    def with_position(self) -> bool:
        """Whether it lives only as long as the position that it would close."""
        return self.time_in_force is TimeInForce.GTE_GTC

    @property
    def trailing(self) -> bool:
        return self.type is OrderType.TRAILING_STOP_MARKET


class Traded(Entity, kw_only=True, eq=False, tag="trade"):
    """One fill of an account."""

    account: str
    trade: UserTrade


class Earned(Entity, kw_only=True, eq=False, tag="income"):
    """One change of a wallet."""

    account: str
    income: Income


class Amended(Entity, kw_only=True, eq=False, tag="amendment"):
    """One modification of an order."""

    account: str
    amendment_id: int
    symbol: str
    order_id: int
    client_id: str
    at_ms: int
    price_before: Decimal
    price_after: Decimal
    quantity_before: Decimal
    quantity_after: Decimal
    count: int
    modify_id: int | None = None


class LastPrices(Entity, kw_only=True, eq=False, tag="marks"):
    """Where the market stood, so that a restarted venue goes on from there: last price by symbol, scaled."""

    prices: dict[str, int]
    at_ms: int


class Funded(Entity, kw_only=True, eq=False, tag="funded"):
    """The last funding time of a symbol that was settled; without a symbol, that of all of them (older files)."""

    at_ms: int
    symbol: str = ""


class Moved(Entity, kw_only=True, eq=False, tag="margin"):
    """One change of an isolated position's margin."""

    account: str
    change: MarginChange


AnyEntity = Account | Order | Algo | Traded | Earned | Amended | LastPrices | Funded | Moved
_DECODER: Final = msgspec.json.Decoder(AnyEntity)
_ENCODER: Final = msgspec.json.Encoder()


def write_entity(entity: AnyEntity) -> bytes:
    """A record as one line."""
    return _ENCODER.encode(entity) + b"\n"


def read_entity(line: bytes) -> AnyEntity:
    """The record on a line. Raises `DecodeError` for anything else, and for numbers that no venue reckons with."""
    entity: AnyEntity = run(_DECODER, line)
    if not _within(entity):
        raise DecodeError("a number that is not finite, or has too many digits", line)
    return entity


def _within(value: object) -> bool:
    """Whether all numbers in a record are finite and short enough to be reckoned with and printed."""
    match value:
        case Decimal():
            return value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS and len(value.as_tuple().digits) < _MOST_DIGITS
        case int():
            return abs(value) < _LARGEST
        case msgspec.Struct():
            return all(_within(getattr(value, name)) for name in value.__struct_fields__)
        case dict():
            return all(map(_within, value.values()))
        case list() | tuple():
            return all(map(_within, value))
        case _:  # texts, words and None
            return True
