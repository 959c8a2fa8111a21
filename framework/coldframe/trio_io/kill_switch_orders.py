"""What the kill switch does at the venue: cancels orders, counts what is left, and, only where the engine does not answer,
flattens.

Everything here is a cancel or reduces a position; nothing is sent twice within one call, and a failure is a line in the report, not
an exception, so that one symbol that does not answer keeps none of the others waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count
from typing import Final, TypeVar

import attrs
import msgspec

from coldframe.enums import OrderType, PositionSide, ResponseType, Side
from coldframe.errors import DecodeError, LinkRefused
from coldframe.ids import KILL_SWITCH_COUNT, OwnId
from coldframe.model.inputs import EmergencyOrderAnswered, EmergencyOrderSent, WeightSpent
from coldframe.trio_io.error_text import one_line
from coldframe.trio_io.heartbeat import PositionKey
from coldframe.trio_io.kill_switch_rest import KillSwitchRest
from coldframe.units import exact, plain
from coldframe.wire import requests as ask
from coldframe.wire.rest import Answer
from coldframe.wire.strict import read_as

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Calls under way at once.
_AT_ONCE: Final = 8
#: The exchange's answer to a reduce-only order where there is no position (protocol.md 9), and what is said then.
_NOTHING_TO_REDUCE: Final = -2022
_FLAT: Final = "the account is flat there"
#: Orders that one call cancels at most (protocol.md 6.4, batchOrders).
_BATCH: Final = 10


class _OrderRow(msgspec.Struct, rename="camel"):
    """As much of an open order, ordinary or conditional, as is needed to cancel it, or to see that it only reduces a position."""

    client_order_id: str = ""
    client_algo_id: str = ""
    side: str = ""
    position_side: str = "BOTH"
    reduce_only: bool = False
    close_position: bool = False

    @property
    def name(self) -> str:
        return self.client_order_id or self.client_algo_id

    def only_reduces(self, amount: Decimal) -> bool:
        """Whether all that the order can do is reduce a position of this (signed) quantity."""
        against = amount > 0 if self.side == Side.SELL else self.side == Side.BUY and amount < 0
        return against and (self.reduce_only or self.close_position or self.position_side != PositionSide.BOTH)


class _Position(msgspec.Struct, rename="camel"):
    """As much of a position as a flatten needs."""

    symbol: str
    position_amt: str
    position_side: str = "BOTH"


@attrs.define
class Findings:
    """What came of it: orders of ours that are still open at the venue (None: not known), and what did not work."""

    left: int | None = None
    #: How many of ours were not cancelled on purpose.
    kept: int = 0
    troubles: list[str] = attrs.field(factory=list)


class KillSwitchOrders:
    """Cancelling and flattening over one line. `symbols` maps each strategy to the symbols that it trades."""

    def __init__(self, line: KillSwitchRest, symbols: Mapping[str, Sequence[str]], epoch_ms: int) -> None:
        self._line = line
        self._symbols = symbols
        self._epoch_ms = epoch_ms
        self._count = count(KILL_SWITCH_COUNT)
        self._pool = ThreadPoolExecutor(_AT_ONCE, "kill-switch")

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._line.close()

    def used(self) -> WeightSpent:
        """What its calls have cost since the last time."""
        return self._line.used()

    def symbols_of(self, strategy: str | None) -> list[str]:
        """The symbols that a strategy, or all of them, may have orders in."""
        chosen = self._symbols.values() if strategy is None else [self._symbols.get(strategy, ())]
        return list(dict.fromkeys(symbol for symbols in chosen for symbol in symbols))

    # -- cancelling ---------------------------------------------------------------------------------------------------

    def cancel(self, strategy: str | None) -> Findings:
        """Cancels all orders of the account in our symbols, ordinary ones first, or only those of one strategy."""
        found = Findings()
        symbols = self.symbols_of(strategy)
        if strategy is None:
            calls = [("/fapi/v1/allOpenOrders", symbol) for symbol in symbols] + [
                ("/fapi/v1/algoOpenOrders", symbol) for symbol in symbols
            ]
            self._each(lambda call: self._checked("DELETE", call[0], {"symbol": call[1]}), calls, found)
        else:
            self._each(lambda symbol: self._cancel_own(strategy, symbol), symbols, found)
        return found

    def cancel_own(self, held: Mapping[PositionKey, Decimal], *, dead_man: bool = False) -> Findings:
        """Cancels the orders of all strategies and no others, but for those that can only reduce a position that is `held`.

        With a `dead_man`'s switch the countdown of a symbol in which orders are kept is switched off, so that they stay.
        """
        found = Findings()
        pairs = [(strategy, symbol) for strategy in self._symbols for symbol in self.symbols_of(strategy)]
        counts = self._each(lambda pair: (pair[1], self._cancel_own(*pair, held)), pairs, found)
        found.kept = sum(count for _, count in counts)
        keeping = list(dict.fromkeys(symbol for symbol, count in counts if count)) if dead_man else []
        off: dict[str, str | int] = {"countdownTime": 0}
        self._each(lambda symbol: self._checked("POST", "/fapi/v1/countdownCancelAll", {"symbol": symbol, **off}), keeping, found)
        return found

    def count_open(self, strategy: str | None) -> Findings:
        """Counts the orders of ours that are still open."""
        found = Findings()
        counts = self._each(lambda symbol: len(self._own(strategy, symbol)), self.symbols_of(strategy), found)
        found.left = sum(counts) if not found.troubles else None
        return found

    def _cancel_own(self, strategy: str, symbol: str, held: Mapping[PositionKey, Decimal] | None = None) -> int:
        """Cancels a strategy's orders in a symbol, but for those that only reduce what is `held`. Returns how many those are."""
        every = self._own(strategy, symbol)
        here = {str(side): amount for (owner, name, side), amount in (held or {}).items() if (owner, name) == (strategy, symbol)}
        kept = [row for row in every if row.only_reduces(here.get(row.position_side, Decimal(0)))]
        rows = [row for row in every if row not in kept]
        ordinary = [row.client_order_id for row in rows if row.client_order_id]
        for at in range(0, len(ordinary), _BATCH):
            names = msgspec.json.encode(ordinary[at : at + _BATCH]).decode()
            self._checked("DELETE", "/fapi/v1/batchOrders", {"symbol": symbol, "origClientOrderIdList": names})
        for row in rows:
            if row.client_algo_id:
                self._checked("DELETE", "/fapi/v1/algoOrder", {"clientAlgoId": row.client_algo_id})
        return len(kept)

    def _own(self, strategy: str | None, symbol: str) -> list[_OrderRow]:
        """Our open orders in a symbol, known by their ids, ordinary and conditional."""
        begin = "cf." if strategy is None else f"cf.{strategy}."
        rows: list[_OrderRow] = []
        for path in ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders"):
            answer = self._checked("GET", path, {"symbol": symbol})
            rows += read_as(list[_OrderRow], answer.body)
        return [row for row in rows if row.name.startswith(begin)]

    # -- flattening ---------------------------------------------------------------------------------------------------

    def flatten(
        self, held: Mapping[PositionKey, Decimal], say: Callable[[EmergencyOrderSent | EmergencyOrderAnswered], None]
    ) -> tuple[list[str], Findings]:
        """Brings positions to zero by market orders that can only reduce, one each, never a second one.

        Where the account has nothing to reduce nothing is sent: what the bot believes to hold was closed by others. `say` is told
        of every order before it is sent, and of what came back. Returns a line for each position.
        """
        found, lines = Findings(), []
        there = self._there() if held else {}
        for (strategy, symbol, position_side), amount in held.items():
            side = Side.SELL if amount > 0 else Side.BUY
            if there is not None and there.get((symbol, position_side.value), Decimal(0)) * amount <= 0:
                lines.append(f"{_FLAT}: nothing to {side} in {symbol} for {strategy}")
                continue
            name = str(OwnId(strategy, self._epoch_ms, next(self._count)))
            say(EmergencyOrderSent(strategy, name, symbol, side, abs(amount), position_side, self._line.venue_ms))
            try:
                answer: Answer | None = self._line.call(
                    "POST", "/fapi/v1/order", _reducing(symbol, side, amount, position_side, name)
                )
                fault = "" if answer is None or answer.status == 200 else _fault(answer)
            except LinkRefused as error:
                answer, fault = None, str(error)
            say(EmergencyOrderAnswered(name, answer, fault))
            lines.append(
                f"the kill switch has ordered: {side} {plain(abs(amount))} {symbol} for {strategy}"
                + (f": {fault}" if fault else "")
            )
            if answer is not None and answer.fault is not None and answer.fault.code == _NOTHING_TO_REDUCE:
                lines[-1] = f"{_FLAT}: nothing to {side} in {symbol} for {strategy}"
            elif fault:
                found.troubles.append(f"{symbol}: {fault}")
        return lines, found

    def _there(self) -> dict[tuple[str, str], Decimal] | None:
        """The account's signed positions by symbol and side; None when the exchange does not say."""
        try:
            rows = read_as(list[_Position], self._checked("GET", "/fapi/v3/positionRisk", {}).body)
            return {(row.symbol, row.position_side): exact(row.position_amt) for row in rows}
        except (LinkRefused, DecodeError):
            return None

    # -- calls --------------------------------------------------------------------------------------------------------

    def _checked(self, verb: str, path: str, params: Mapping[str, str | int]) -> Answer:
        answer = self._line.call(verb, path, params)
        if answer.status != 200:
            raise LinkRefused(f"{params.get('symbol', path)}: {_fault(answer)}")
        return answer

    def _each(self, do: Callable[[Item], Result], items: Iterable[Item], found: Findings) -> list[Result]:
        """Does it for all of them, some at once; what does not work is a trouble of its own."""
        results: list[Result] = []
        for future in [self._pool.submit(do, item) for item in items]:
            try:
                results.append(future.result())
            except (LinkRefused, DecodeError) as error:
                text = str(error) if isinstance(error, LinkRefused) else "an answer that cannot be read"
                found.troubles.append(text)
        found.troubles = list(dict.fromkeys(found.troubles))
        return results


def _reducing(symbol: str, side: Side, amount: Decimal, position_side: PositionSide, name: str) -> dict[str, str | int]:
    """A market order against a position; in hedge mode its position side says that it reduces, and the flag is not allowed."""
    order = ask.PlaceOrder(
        symbol=symbol,
        side=side,
        type=OrderType.MARKET,
        quantity=plain(abs(amount)),
        new_client_order_id=name,
        new_order_resp_type=ResponseType.RESULT,
    )
    return ask.parameters(order) | (
        {"reduceOnly": "true"} if position_side is PositionSide.BOTH else {"positionSide": position_side.value}
    )


def _fault(answer: Answer) -> str:
    fault = answer.fault
    return f"status {answer.status}" if fault is None else f"{fault.code} {one_line(fault.msg)}"
