"""The listener as a plugin of a whole bot, which writes down the CPU time of its process between two messages."""

from __future__ import annotations

import attrs

from bench.listener import Listener
from bench.peers.measuring import Marks
from coldframe import BestPriceChanged, TradePrinted, hookimpl


class Measured(Listener):
    """Looks at what it is given, and knows the first and the last message of each measured part."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Where the measured parts begin and end, and the file for what they took."""

        marks: str
        out: str

    def __init__(self, params: Params) -> None:
        super().__init__()
        self._marks = Marks(params.marks, params.out)

    @hookimpl
    def on_trade(self, event: TradePrinted) -> None:
        super().on_trade(event)
        self._marks.small()

    @hookimpl
    def on_ticker(self, event: BestPriceChanged) -> None:
        super().on_ticker(event)
        self._marks.small()
