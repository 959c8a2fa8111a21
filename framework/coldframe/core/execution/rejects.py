"""What a refusal of the venue shuts: a symbol in a risk mode, a strategy after too many refusals, a position that is not there.

Sources: faults.md O18, O19, O34.
"""

from __future__ import annotations

from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.risk.pre_trade import PreTradeRisk
from coldframe.core.state.orders import Order
from coldframe.model.effects import Level
from coldframe.wire.codes import CodeClass, classify, describe
from coldframe.wire.replies import ErrorBody

#: Refusals that say that the account is set otherwise than we think: position sides, leverage.
TELLING_CODES: Final = frozenset({-4060, -4061, -4062, -2027})

#: The market moved first: an order that had to fill at once could not, one that must not take would have.
EVERYDAY: Final = (-5021, -5022)
#: A reduce-only order found nothing to reduce.
NOTHING_TO_REDUCE: Final = -2022


def count_reject(ctx: StepContext, gate: PreTradeRisk, order: Order, error: ErrorBody) -> None:
    """An order was rejected."""
    note_refusal(ctx, gate, order, error)
    if error.code in EVERYDAY:
        return
    verdict = gate.rejected(order.strategy, ctx.now_ms)
    if verdict is not None:
        ctx.log(Level.ERROR, f"{verdict.text}: it takes no new risk until it is resumed")


def note_refusal(ctx: StepContext, gate: PreTradeRisk, order: Order, error: ErrorBody) -> None:
    """An order or amendment was refused: the venue takes only what reduces, has nothing to reduce, or is set otherwise."""
    ctx.account_suspect |= error.code in TELLING_CODES
    text = describe(error.code)
    if classify(error.code) is CodeClass.RISK_MODE and gate.latches.mode_on(order.symbol, error.code, text, ctx.now_ms):
        ctx.log(Level.ERROR, f"{order.symbol}: the venue takes only reducing orders: {text}")
    note_nothing_there(gate, order, error)


def note_nothing_there(gate: PreTradeRisk, order: Order, error: ErrorBody) -> None:
    """An order that could only reduce was refused: the account's position is not what our books say."""
    if error.code == NOTHING_TO_REDUCE:
        gate.latches.emptied[order.symbol, order.position_side] = None
