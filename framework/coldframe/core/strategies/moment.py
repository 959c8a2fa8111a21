"""What pre-trade risk has to know about the moment in a symbol, read from the state, the books and the links."""

from __future__ import annotations

from coldframe.core.marketdata.market import Market
from coldframe.core.risk.suspended import RiskInputs
from coldframe.core.state.engine_state import EngineState
from coldframe.enums import Side
from coldframe.model.events import BookState


def risk_inputs(
    state: EngineState, market: Market, now_ms: int, symbol: str, *, order_link_up: bool, user_stream_up: bool
) -> RiskInputs:
    """The moment in a symbol; `user_stream_up` means that everything the venue says about our orders is known to reach us."""
    local, book = market.book(symbol), market.synced_book(symbol)
    return RiskInputs(
        now_ms=now_ms,
        mark=state.mark_prices.get(symbol),
        best_bid=book.best(Side.BUY) if book else None,
        best_ask=book.best(Side.SELL) if book else None,
        book_state=local.sync.state if local else BookState.BUFFERING,
        book_age_ms=market.book_age_ms(symbol),
        order_link_up=order_link_up,
        user_stream_up=user_stream_up,
    )
