"""What a refusal of the venue shuts: a symbol in a risk mode, a strategy after too many refusals, a position that is not there.

Sources: faults.md O18, O19, O34.
"""

from __future__ import annotations

from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.model.effects import Level
from coldframe.model.engine_events import NothingToReduce, SettingsDoubted
from coldframe.wire.codes import CodeClass, classify, describe
from coldframe.wire.replies import ErrorBody

#: Refusals that say that the account is set otherwise than we think: position sides, leverage.
TELLING_CODES: Final = frozenset({-4060, -4061, -4062, -2027})

#: The market moved first: an order that had to fill at once could not, an order that must not take would have.
EVERYDAY: Final = (-5021, -5022)
#: A reduce-only order found nothing to reduce.
NOTHING_TO_REDUCE: Final = -2022


def count_reject(state: EngineState, ctx: StepContext, order: Order, error: ErrorBody) -> None:
    """An order was rejected."""
    note_refusal(state, ctx, order, error)
    if error.code in EVERYDAY:
        return
    verdict = state.order_rejected(order, ctx.now_ms)
    if verdict is not None:
        ctx.log(Level.ERROR, f"{verdict.text}: it takes no new risk until it is resumed")


def note_refusal(state: EngineState, ctx: StepContext, order: Order, error: ErrorBody) -> None:
    """An order or amendment was refused: the venue takes only what reduces, has nothing to reduce, or is set otherwise."""
    if error.code in TELLING_CODES:
        ctx.publish(SettingsDoubted())
    text = describe(error.code)
    if classify(error.code) is CodeClass.RISK_MODE and state.trading.mode_on(order.symbol, error.code, text, ctx.now_ms):
        ctx.log(Level.ERROR, f"{order.symbol}: the venue takes only reducing orders: {text}")
    note_nothing_there(ctx, order, error)


def note_nothing_there(ctx: StepContext, order: Order, error: ErrorBody) -> None:
    """An order that could only reduce was refused: the account's position is not what our books say."""
    if error.code == NOTHING_TO_REDUCE:
        ctx.publish(NothingToReduce(order.symbol, order.position_side, order.side))
