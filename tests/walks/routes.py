"""The three walks of docs/flows.md: where each of them begins, and where something arrives on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from coldframe import hookimpl
from coldframe.core.connectivity.api_session import Answered
from coldframe.core.strategies.view import StrategyView
from coldframe.model.events import BookChanged
from coldframe.model.intents import Quote, Quotes
from tests.walks.passed import Stop

_STEP: Final = "coldframe.core.engine:Engine.step"
_TURN: Final = "coldframe.trio_io.effects:TrioEffectRunner._turn"
_ORDER: Final = "order.place"


class Bot:
    """A strategy that buys once, as soon as it may."""

    @hookimpl
    def on_book(self, event: BookChanged, view: StrategyView) -> Quotes | None:
        book = view.book(event.symbol)
        if not view.trading_allowed(event.symbol) or view.position(event.symbol) or book.best_ask is None:
            return None
        return Quotes(event.symbol, bids=(Quote(book.best_ask, Decimal("0.01")),), asks=(), post_only=False)


def _is_order(effect_or_method: Any) -> bool:
    return getattr(effect_or_method, "method", effect_or_method) == _ORDER


#: From the frames that the engine takes in: the book, the strategy's hook, the order, the fill.
MESSAGE_TO_FILL: Final = (
    Stop("coldframe.core.marketdata.book_sync:BookSync.step", _STEP),
    Stop("tests.walks.routes:Bot.on_book", _STEP),
    Stop("coldframe.core.connectivity.api_session:Session.request", _STEP, lambda _, method, *__: _is_order(method)),
    Stop("coldframe.core.execution.execution_reports:ExecutionReports.fill", _STEP),
)

#: From the command line: the file read, its plugin loaded, the exchange beside the bot, the questions before the start, the engine.
FILE_TO_NURSERIES: Final = (
    Stop("coldframe.config.load:load", "coldframe.cli:main"),
    Stop("coldframe.plug.loader:PluginRegistry.load", "coldframe.cli:main"),
    Stop("coldframe.runtime.venues:open_venues", "coldframe.cli:main"),
    Stop("coldframe.runtime.startup:describe_venue", "coldframe.cli:main"),
    Stop("coldframe.trio_io.effects:TrioEffectRunner.drive", "coldframe.cli:main"),
)

#: From an intent of a strategy: the request, which waits until it is in the journal; the bytes; what the answer's bytes become, and
#: where they end: at the machine that has asked.
INTENT_AND_BACK: Final = (
    Stop(
        "coldframe.core.connectivity.api_session:Session.request",
        "coldframe.core.strategies.dispatch:Strategies._judge",
        lambda _, method, *__: _is_order(method),
    ),
    Stop("coldframe.trio_io.journal:Journal.when_durable", _TURN),
    Stop(
        "coldframe.trio_io.links:Links.send_request",
        "coldframe.trio_io.journal:Journal._write_all",
        lambda _, effect, *__: _is_order(effect),
    ),
    Stop("coldframe.trio_io.link:write", "coldframe.trio_io.links:Links._write_all"),
    Stop("coldframe.trio_io.inbox:Inbox.put", "coldframe.trio_io.batch:BatchStream.receive_some"),
    Stop("coldframe.core.connectivity.api_session:Session.step", _TURN),
    Stop("coldframe.core.execution.order_executor:OrderExecutor.step", _TURN, lambda _, event: isinstance(event, Answered)),
)
