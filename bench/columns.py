"""Columns: CPU time per event of walking all columns beside a bare loop over tuples that are there already.

The file is a month of trades as the exchange's archive packs one, made here from a seed. What it costs once, to turn the file into
columns, and what events cost that are built one each, stand beside it.

    python -m bench.columns
"""

from __future__ import annotations

import random
import time
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.rounds import arguments, in_turn, machine, table
from coldframe.data.archive.reader import archive_source
from coldframe.data.columns import Columns
from coldframe.data.events import events_of
from coldframe.data.sources import columns_of

T0 = 1_704_067_200_000


def month_of_trades(folder: Path, count: int) -> Path:
    """A file of aggTrades: a price that walks in ticks of 0.1, and sizes of three digits."""
    chance, price, at_ms = random.Random(1), 423_140, T0
    lines = []
    for number in range(count):
        price, at_ms = price + chance.choice((-1, 0, 0, 1)), at_ms + chance.randrange(40)
        size = chance.randrange(1, 3000)
        sold = chance.choice(("true", "false"))
        lines.append(f"{number},{price / 10},{size / 1000},{2 * number},{2 * number + 1},{at_ms},{sold}\n")
    path = folder / "BTCUSDT-aggTrades-2024-01.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{path.stem}.csv", "".join(lines))
    return path


def walk(rows: Iterable[object]) -> None:
    """A loop that takes every column and does nothing."""
    for _ in rows:
        pass


def walk_columns(columns: Columns) -> None:
    for _id, _at, _price, _quantity, _first, _last, _maker in columns.rows():
        pass


def walk_tuples(rows: list[tuple[int, ...]]) -> None:
    for _id, _at, _price, _quantity, _first, _last, _maker in rows:
        pass


def main(words: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--rows", type=int, default=500_000)
    given = parser.parse_args(words)
    count, rounds = (2_000, 1) if given.quick else (given.rows, given.rounds)
    with TemporaryDirectory() as folder:
        source = month_of_trades(Path(folder), count)
        began = time.process_time()
        with columns_of(archive_source(source)) as columns:
            made = (time.process_time() - began) * 1e6
            tuples = list(columns.rows())
            ways = {"bare loop over tuples": lambda: walk_tuples(tuples), "mapped columns": lambda: walk_columns(columns)}
            costs = in_turn(ways, rounds)
            costs |= in_turn({"events of the model, one each": lambda: walk(events_of(columns))}, 1)
            size = sum(block.size for block in columns.footer.blocks) / count
    costs["making the columns from the zip, once"] = made
    bare = costs["bare loop over tuples"]
    print(f"{machine()}; us CPU per event, {size:.1f} bytes a row")
    print(table(["way", "us", "ratio"], [[name, cost / count, cost / bare] for name, cost in costs.items()]))


if __name__ == "__main__":
    main()
