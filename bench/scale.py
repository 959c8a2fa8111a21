"""Scale: what a market message costs while symbols, strategies and open orders grow, and a row of a journal at a restart.

Engine and venue are in one process on virtual time; only the engine's steps are measured, each with one small message. What grows
should cost nothing, or a little for each strategy that listens.

    python -m bench.scale
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from bench.rounds import arguments, interleaved, machine, table
from bench.traffic import Traffic
from bench.world import World
from coldframe.core.state.journal_codec import fold
from coldframe.model.journal import Row

MESSAGES: Final = 3_000
#: What stands in each row: how much of it there is.
SYMBOLS: Final = (1, 5, 50)
STRATEGIES: Final = (1, 4, 16)
OTHERS: Final = (0, 4, 16)
ORDERS: Final = (0, 100, 1_000)
ROWS: Final = (1_000, 10_000)
PRICE: Final = Decimal(50_000)


def message_us(world: World, messages: int) -> Callable[[], float]:
    """Measures the CPU microseconds of a step with one small message."""

    def measure() -> float:
        steps = world.stamped(world.traffic.frames("small", messages))
        step = world.engine.step
        gc.collect()
        began = time.process_time()
        for stamped in steps:
            step(stamped)
        return (time.process_time() - began) / messages * 1e6

    measure()
    return measure


def ready(world: World) -> World:
    """All books follow their streams."""
    while not world.synced:
        world.take(world.traffic.frames("mixed", 100))
    return world


def with_orders(count: int) -> World:
    world = ready(World(Traffic()))
    world.rest("BTCUSDT", PRICE, count)
    return world


def row_us(rows: Sequence[Row]) -> Callable[[], float]:
    def measure() -> float:
        began = time.process_time()
        fold(rows)
        return (time.process_time() - began) / len(rows) * 1e6

    return measure


def rows_of(count: int) -> list[Row]:
    """The rows of so many changes of orders, as a bot records them."""
    world = World(Traffic(1))
    world.rest("BTCUSDT", PRICE, count // 2)
    world.take(world.traffic.frames("small", 1))
    return world.rows[:count]


def main(words: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, rounds=5).parse_args(words)
    rounds, messages = (1, 50) if given.quick else (given.rounds, MESSAGES)
    rooms: dict[str, tuple[Sequence[int], Callable[[int], World]]] = {
        "symbols, orders off": (SYMBOLS, lambda count: World(Traffic(count), orders_on=False)),
        "strategies that listen": (STRATEGIES, lambda count: ready(World(Traffic(), count))),
        "strategies that do not listen": (OTHERS, lambda count: ready(World(Traffic(), 1, count))),
        "open orders": (ORDERS, with_orders),
    }
    if given.quick:
        rooms = {"symbols, orders off": ((1, 2), rooms["symbols, orders off"][1])}
    print(f"{machine()}; us CPU per small message, each a step of its own")
    for name, (counts, room) in rooms.items():
        ways = {str(count): message_us(room(count), messages) for count in counts}
        costs = list(interleaved(ways, rounds).values())
        print(table([name, *ways, "ratio"], [["us per message", *costs, costs[-1] / costs[0]]]))
    made = {str(count): row_us(rows_of(count)) for count in ((10, 20) if given.quick else ROWS)}
    costs = list(interleaved(made, rounds).values())
    print(table(["rows of a journal", *made, "ratio"], [["us per row", *costs, costs[-1] / costs[0]]]))


if __name__ == "__main__":
    main()
