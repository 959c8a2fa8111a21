"""What goes out in one world: every request with method and parameters, every REST call, every row of the journal, with its time.

Names of classes and modules are not in it, so that it stays the same while the code is moved. `python -m tests.simulation.golden`
prints the digests, with `--lines WORLD` the log itself (to compare two builds with diff), with `--write` it stores them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from tests.simulation.pump import Pump

HERE: Final = Path(__file__).parent
CONFIGS: Final = HERE.parents[2] / "configs"
WORLDS: Final = {
    "quickstart": CONFIGS / "quickstart.toml",
    "protected": HERE / "protected.toml",
    "troubled": HERE / "troubled.toml",
    "hostile": CONFIGS / "hostile.toml",
}
SECONDS: Final = 120
STORED: Final = HERE / "digests.json"


def lines(world: str, seconds: int = SECONDS) -> Iterator[str]:
    """The log of one world, oldest line first."""
    pump = Pump.of_config(WORLDS[world])
    rows = sent = 0
    for _ in range(seconds):
        pump.run(1)
        at = f"{pump.now_ms}"
        for call, params in pump.sent[sent:]:
            yield f"{at} sent {call} {json.dumps(params, sort_keys=True)}"
        for row in pump.rows[rows:]:
            yield f"{row.at_ns // 1_000_000} row {row.kind} {row.ref} {json.dumps(row.body, sort_keys=True)}"
        rows, sent = len(pump.rows), len(pump.sent)


def digest(log: Iterable[str]) -> str:
    """One digest of a whole log."""
    made = blake2b(digest_size=16)
    for line in log:
        made.update(line.encode())
    return made.hexdigest()
