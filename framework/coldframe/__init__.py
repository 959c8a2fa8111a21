"""Coldframe: declarative trading bots on Binance USD-M Futures.

This is the public face for authors of strategies: everything a plugin needs is here, and nothing else is promised. A bot is one
TOML file; a strategy is a class whose hooks see events and return intents.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from coldframe.model.events import (
        AssetIndexChanged as AssetIndexChanged,
    )
    from coldframe.model.events import (
        BestPriceChanged as BestPriceChanged,
    )
    from coldframe.model.events import (
        BookChanged as BookChanged,
    )
    from coldframe.model.events import (
        BookState as BookState,
    )
    from coldframe.model.events import (
        CandleChanged as CandleChanged,
    )
    from coldframe.model.events import (
        CompositeIndexChanged as CompositeIndexChanged,
    )
    from coldframe.model.events import (
        ContractChanged as ContractChanged,
    )
    from coldframe.model.events import (
        DayStatsChanged as DayStatsChanged,
    )
    from coldframe.model.events import (
        DaySummaryChanged as DaySummaryChanged,
    )
    from coldframe.model.events import (
        IndexWeight as IndexWeight,
    )
    from coldframe.model.events import (
        LeverageBracket as LeverageBracket,
    )
    from coldframe.model.events import (
        LinkChanged as LinkChanged,
    )
    from coldframe.model.events import (
        LinkState as LinkState,
    )
    from coldframe.model.events import (
        LiquidationPrinted as LiquidationPrinted,
    )
    from coldframe.model.events import (
        MarkPriceChanged as MarkPriceChanged,
    )
    from coldframe.model.events import (
        OrderChanged as OrderChanged,
    )
    from coldframe.model.events import (
        OrderFilled as OrderFilled,
    )
    from coldframe.model.events import (
        PartialBookChanged as PartialBookChanged,
    )
    from coldframe.model.events import (
        Started as Started,
    )
    from coldframe.model.events import (
        Stopped as Stopped,
    )
    from coldframe.model.events import (
        TradePrinted as TradePrinted,
    )
    from coldframe.model.events import (
        TradingSessionChanged as TradingSessionChanged,
    )
    from coldframe.model.events import (
        Woken as Woken,
    )
    from coldframe.model.instruments import Instrument as Instrument
    from coldframe.model.intents import (
        Amend as Amend,
    )
    from coldframe.model.intents import (
        Cancel as Cancel,
    )
    from coldframe.model.intents import (
        CancelAll as CancelAll,
    )
    from coldframe.model.intents import (
        Intent as Intent,
    )
    from coldframe.model.intents import (
        Place as Place,
    )
    from coldframe.model.intents import (
        Quote as Quote,
    )
    from coldframe.model.intents import (
        Quotes as Quotes,
    )
    from coldframe.model.intents import (
        Target as Target,
    )
    from coldframe.model.intents import (
        Verdict as Verdict,
    )
    from coldframe.model.intents import (
        VerdictCode as VerdictCode,
    )
    from coldframe.model.intents import (
        WakeMe as WakeMe,
    )
    from coldframe.model.view import BookView as BookView
    from coldframe.model.view import OrderView as OrderView
    from coldframe.model.view import View as View
    from coldframe.plug.hookspecs import hookimpl as hookimpl
    from coldframe.terms import (
        OrderType as OrderType,
    )
    from coldframe.terms import (
        PositionSide as PositionSide,
    )
    from coldframe.terms import (
        PriceMatch as PriceMatch,
    )
    from coldframe.terms import (
        SelfTradePrevention as SelfTradePrevention,
    )
    from coldframe.terms import (
        Side as Side,
    )
    from coldframe.terms import (
        TimeInForce as TimeInForce,
    )

# Names are imported when they are asked for, so that `coldframe --help` does not load the whole house.
_HOME: Final[dict[str, str]] = {
    **dict.fromkeys(
        [
            "AssetIndexChanged",
            "BestPriceChanged",
            "BookChanged",
            "BookState",
            "CandleChanged",
            "CompositeIndexChanged",
            "ContractChanged",
            "DayStatsChanged",
            "DaySummaryChanged",
            "IndexWeight",
            "LeverageBracket",
            "LinkChanged",
            "LinkState",
            "LiquidationPrinted",
            "MarkPriceChanged",
            "OrderChanged",
            "OrderFilled",
            "PartialBookChanged",
            "Started",
            "Stopped",
            "TradePrinted",
            "TradingSessionChanged",
            "Woken",
        ],
        "coldframe.model.events",
    ),
    "Instrument": "coldframe.model.instruments",
    **dict.fromkeys(
        ["Amend", "Cancel", "CancelAll", "Intent", "Place", "Quote", "Quotes", "Target", "Verdict", "VerdictCode", "WakeMe"],
        "coldframe.model.intents",
    ),
    **dict.fromkeys(("BookView", "OrderView", "View"), "coldframe.model.view"),
    "hookimpl": "coldframe.plug.hookspecs",
    **dict.fromkeys(["OrderType", "PositionSide", "PriceMatch", "SelfTradePrevention", "Side", "TimeInForce"], "coldframe.terms"),
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'coldframe' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
