"""The view of a strategy, for a test that looks at it from outside a hook."""

from __future__ import annotations

from coldframe.core.engine import Engine
from coldframe.core.strategies.view import StrategyView


def view_of(engine: Engine, strategy: str = "mm") -> StrategyView:
    """What a hook of the strategy would see at this moment. It stays valid, and its time stays what it is."""
    return engine.runtimes.get(strategy).world.lasting(engine._ctx.now_ms, allowed=engine.strategies._links_ready())
