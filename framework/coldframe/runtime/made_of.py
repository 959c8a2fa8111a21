"""What a backtest is made of, for its journal: one entry for each thing that may be why another run comes to something else."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import attrs

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.exchange.matching import QueueModel
from coldframe.runtime.build import Bot, BotStrategy
from coldframe.runtime.engine_setup import about_run
from coldframe.runtime.pump import Latency

#: The key of all that in the row with which a run begins.
MADE_OF = "made_of"
_PORTION = 1 << 20


def about_backtest(bot: Bot, settings: Settings, latency: Latency, queue_model: QueueModel) -> dict[str, object]:
    """What the journal of a backtest says of it beside what it says of any run."""
    account = settings.accounts[0]
    made_of = {
        "data": _data(settings),
        "latency": attrs.asdict(latency),
        "queue": queue_model.value,
        "fees": f"maker {account.maker_fee_bps} bps, taker {account.taker_fee_bps} bps" + (", in BNB" if account.fee_burn else ""),
        "plugin": {strategy.table.id: _plugin(strategy) for strategy in bot.strategies},
        "strategy": {strategy.table.id: _digest([repr(strategy.table).encode()]) for strategy in bot.strategies},
        "risk": _digest([repr(bot.config.risk).encode()]),
    }
    return {**about_run(bot.config), MADE_OF: made_of}


def _data(settings: Settings) -> str:
    """The recording, or what the synthetic market is drawn from; and which contracts of it."""
    only = f", only {', '.join(settings.symbols)}" if settings.symbols else ""
    if settings.recording is None or settings.market != "recording":
        return f"synthetic market, seed {settings.seed}, pace {settings.pace}{only}"
    path = Path(settings.recording)
    with path.open("rb") as file:
        digest = _digest(iter(lambda: file.read(_PORTION), b""))
    return f"{path.name} {digest}{only}"


def _plugin(strategy: BotStrategy) -> str:
    """The source of a strategy and its overlays: each module, or all of its package."""
    kinds = [part.plugin.kind for part in (strategy.part, *strategy.overlays)]
    return _digest(path.read_bytes() for kind in kinds for path in _sources(kind))


def _sources(kind: type) -> list[Path]:
    file = Path(inspect.getsourcefile(kind) or "")
    return sorted(file.parent.rglob("*.py")) if (file.parent / "__init__.py").exists() else [file]


def _digest(portions: Iterable[bytes]) -> str:
    made = blake2b(digest_size=8)
    for portion in portions:
        made.update(portion)
    return made.hexdigest()
