"""A stress test: the same backtest again and again with one thing made worse each time, and how much of the profit that leaves.

A profit that a slower line, a higher fee or another minute takes away was never the strategy's. Each variation changes one thing of
the backtest that it is compared with; everything else is equal, so the difference in money is that thing's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from coldframe.config.load import Loaded
from coldframe.config.schema import Config
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.exchange.matching import QueueModel
from coldframe.runtime.backtest import Backtest, BacktestObserver, BacktestOptions, profit
from coldframe.runtime.build import Bot, build, money
from coldframe.runtime.pump import Latency
from coldframe.runtime.venues import listed_symbols
from coldframe.units import ZERO

#: How much slower everything travels, and how much more a trade costs.
_SLOWER: Final = 3
_DEARER: Final = 2
#: How much later the bot starts on a recording: this share of the market's time, in per cent, twice.
_LATER_PCT: Final = (7, 23)
#: With so many other seeds.
_SEEDS: Final = 2


@attrs.frozen
class Variation:
    """One thing that is changed: what it is called, and the bot and options with it."""

    name: str
    loaded: Loaded
    options: BacktestOptions

    def bot(self) -> Bot:
        """The bot of this variation. Raises `ConfigError` when it cannot be built."""
        return build(self.loaded, listed_symbols(self.loaded.config.venue.embedded))


@attrs.frozen
class Outcome:
    """What came of one backtest: profit after fees in US dollars, and how much was traded for it."""

    name: str
    profit: Decimal
    fills: int


def variations(bot: Bot, options: BacktestOptions, lasts_s: float) -> Iterator[Variation]:
    """The backtest as it is, and then with one thing changed each. `lasts_s` is how long its market lasts."""
    loaded, settings = bot.loaded, bot.config.venue.embedded
    yield Variation("as it is", loaded, options)
    latency = options.latency
    slower = Latency(**{way: ms * _SLOWER for way, ms in attrs.asdict(latency).items()})
    yield Variation(f"latency x{_SLOWER}", loaded, attrs.evolve(options, latency=slower))
    yield Variation(f"fees x{_DEARER}", _on(loaded, accounts=[_dearer(account) for account in settings.accounts]), options)
    if settings.market == "recording":
        yield from _of_recording(loaded, options, lasts_s)
    for nth in range(1, _SEEDS + 1):
        yield Variation(f"seed {settings.seed + nth}", _on(loaded, seed=settings.seed + nth), options)
    yield from _without_each_symbol(bot, options)


def _of_recording(loaded: Loaded, options: BacktestOptions, lasts_s: float) -> Iterator[Variation]:
    """What only a recording leaves open: the place in the queue, and when the bot starts."""
    if options.queue_model is not QueueModel.BEHIND:
        yield Variation("at the end of each queue", loaded, attrs.evolve(options, queue_model=QueueModel.BEHIND))
    for per_cent in _LATER_PCT:
        later_s = round(lasts_s * per_cent / 100)
        yield Variation(f"starts {later_s} s later", loaded, attrs.evolve(options, start_after_s=later_s))


def _without_each_symbol(bot: Bot, options: BacktestOptions) -> Iterator[Variation]:
    traded = sorted({symbol for strategy in bot.strategies for symbol in strategy.symbols})
    for symbol in traded if len(traded) > 1 else ():
        left = [name for name in listed_symbols(bot.config.venue.embedded) if name != symbol]
        config = _without(bot.config, symbol)
        if all(table.symbols for table in config.strategies):
            loaded = attrs.evolve(bot.loaded, config=config)
            yield Variation(f"without {symbol}", _on(loaded, symbols=left), options)


def _without(config: Config, symbol: str) -> Config:
    tables = {
        name: [attrs.evolve(table, symbols=[each for each in table.symbols if each != symbol]) for table in getattr(config, name)]
        for name in ("strategies", "streams")
    }
    # A stream that was of this symbol alone goes; a stream of all markets never had any.
    streams = [new for new, old in zip(tables["streams"], config.streams, strict=True) if new.symbols or not old.symbols]
    return attrs.evolve(config, strategies=tables["strategies"], streams=streams)


def _on(loaded: Loaded, **changes: Any) -> Loaded:
    """The same configuration, with other settings of its exchange."""
    config = loaded.config
    settings: Settings = attrs.evolve(config.venue.embedded, **changes)
    return attrs.evolve(loaded, config=attrs.evolve(config, venue=attrs.evolve(config.venue, embedded=settings)))


def _dearer(account: Any) -> Any:
    return attrs.evolve(account, maker_fee_bps=account.maker_fee_bps * _DEARER, taker_fee_bps=account.taker_fee_bps * _DEARER)


def stress(bot: Bot, options: BacktestOptions, observer: BacktestObserver, told: Callable[[Outcome], object]) -> list[Outcome]:
    """Runs the backtest and its variations, and tells of each when it is done. The observer may stop it between two of them."""
    first = Backtest(bot, options, observer)
    outcomes = [_outcome("as it is", first.play())]
    told(outcomes[0])
    _, *others = variations(bot, options, first.lasted_s)
    for variation in others:
        if observer.stopping():
            break
        outcomes.append(_outcome(variation.name, Backtest(variation.bot(), variation.options, observer).play()))
        told(outcomes[-1])
    return outcomes


def _outcome(name: str, document: Mapping[str, Any]) -> Outcome:
    return Outcome(name, profit(document), sum(strategy["fills"] for strategy in document["strategies"].values()))


def taken_away(outcomes: list[Outcome]) -> bool:
    """Whether there is a profit, and a variation that has none."""
    first, *others = outcomes
    return first.profit > 0 and any(outcome.profit <= 0 for outcome in others)


def verdict(outcomes: list[Outcome]) -> str:
    """How much of the profit survives, in a sentence."""
    first, *others = outcomes
    if not others:
        return "stopped before anything was compared"
    if first.profit <= 0:
        return f"there is no profit that could be lost: {money(first.profit)} as it is"
    kept = [outcome for outcome in others if outcome.profit > 0]
    worst = min(others, key=lambda outcome: outcome.profit)
    share = max(worst.profit, ZERO) / first.profit
    text = f"a profit is left in {len(kept)} of {len(others)} variations"
    return f"{text}; the worst, {worst.name}, leaves {share:.0%} of {money(first.profit)}"
