"""The closed candles that the bot has heard of, by symbol and interval: the last ones of each kline stream it listens to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from coldframe.model.events import CandleChanged
from coldframe.wire.names import StreamKind, StreamName

#: So many candles of one symbol and interval are kept.
CANDLES_KEPT: Final = 500


class ClosedCandles:
    """Grows with what the streams tell. A candle that closes while its stream is away is missing for good."""

    def __init__(self, names: Iterable[StreamName] = ()) -> None:
        self._kept: dict[tuple[str, str], deque[CandleChanged]] = {}
        for name in names:
            if name.kind is StreamKind.KLINE:
                self.listen(name.symbol, name.interval)

    def listen(self, symbol: str, interval: str) -> None:
        """Candles of this kind are kept from now on."""
        self._kept.setdefault((symbol, interval), deque(maxlen=CANDLES_KEPT))

    def add(self, candle: CandleChanged) -> None:
        """A candle was told: kept if it is closed, of a stream that is listened to, and later than the last one.

        The first word on a candle counts: when two connections overlap, the other one may tell it again.
        """
        kept = self._kept.get((candle.symbol, candle.interval))
        if kept is None or not candle.closed:
            return
        if not kept or candle.open_ms > kept[-1].open_ms:
            kept.append(candle)

    def of(self, symbol: str, interval: str) -> tuple[CandleChanged, ...]:
        """What is kept, oldest first. Raises `KeyError` where no stream brings such candles."""
        kept = self._kept.get((symbol, interval))
        if kept is None:
            raise KeyError(f"no candles of {symbol!r} by {interval!r} come in: add the channel kline_{interval} to its [[streams]]")
        return tuple(kept)
