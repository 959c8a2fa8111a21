"""`python -m tests.campaigns.fuzz --inputs 1000000 --seed 1`: mangled bytes for everything that reads bytes of others.

One part goes over every decoder (the wire, the engine of a trading bot, files, bodies), the other against the front door of the
embedded venue: on connections in memory, which run the same code from the first byte on, and for every hundred inputs one more on a
real socket. Checked are: nothing is raised but what a reader declares; memory stays flat; and the next client is served. The last
lines give the figures; exit code 1 with violations. The same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final
from unittest.mock import patch

import attrs

from tests.campaigns.frontdoor import Visits
from tests.campaigns.mangle import mangled
from tests.campaigns.readers import readers

#: By how much memory may grow between the first tenth of a part and its end, in megabytes.
FLAT_MB: Final = 32
#: Behind this many inputs on connections in memory comes one on a socket.
_IN_MEMORY_FOR_ONE_ON_SOCKETS: Final = 100
_KINDS_SHOWN: Final = 20


@attrs.define
class Findings:
    """What a part has come to: how much it has done, what was raised that nothing declares, and memory over time."""

    name: str
    inputs: int = 0
    seconds: float = 0
    #: Where something undeclared was raised, how often, and the first input that did it.
    undeclared: Counter[str] = attrs.field(factory=Counter)
    examples: dict[str, str] = attrs.field(factory=dict)
    memory_mb: list[float] = attrs.field(factory=list)
    more: list[str] = attrs.field(factory=list)

    def raised(self, reader: str, error: BaseException, data: bytes) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        self.undeclare(f"{reader}: {type(error).__name__} at {Path(place.filename).name}:{place.lineno}", repr(data[:300]))

    def undeclare(self, what: str, example: str) -> None:
        self.undeclared[what] += 1
        self.examples.setdefault(what, example)

    def look_at_memory(self) -> None:
        gc.collect()
        self.memory_mb.append(_memory_mb())

    @property
    def grown_mb(self) -> float:
        """From the first tenth to the end."""
        return self.memory_mb[-1] - self.memory_mb[min(1, len(self.memory_mb) - 1)] if self.memory_mb else 0

    @property
    def violations(self) -> list[str]:
        found = [f"{count} times {what}: {self.examples[what]}" for what, count in self.undeclared.most_common(_KINDS_SHOWN)]
        if self.grown_mb > FLAT_MB:
            found.append(f"memory has grown by {self.grown_mb:.0f} MB: {[round(size) for size in self.memory_mb]}")
        return found

    @property
    def last_line(self) -> str:
        first, last = self.memory_mb[min(1, len(self.memory_mb) - 1)], self.memory_mb[-1]
        memory = f"memory {first:.0f} MB after a tenth, {last:.0f} MB at the end"
        said = [f"{self.inputs} inputs", *self.more, f"{self.seconds:.0f} s", memory]
        return f"fuzz {self.name}: {', '.join(said)}, {sum(self.undeclared.values())} undeclared exceptions"


def _memory_mb() -> float:
    """What the process holds now, where the system tells; else the most that it has ever held."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def decoders(inputs: int, seed: int, seconds: float = 1e9) -> Findings:
    """Mangled inputs over every decoder; ends earlier when the time is over."""
    found, chance = Findings("decoders"), Random(seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, XDG_STATE_HOME=folder):
        all_ = readers(chance, Path(folder))
        shares = [reader.share for reader in all_]
        while found.inputs < inputs and time.monotonic() - began < seconds:
            if found.inputs % max(inputs // 10, 1) == 0:
                found.look_at_memory()
            reader = chance.choices(all_, shares)[0]
            data = mangled(chance, chance.choice(reader.samples), reader.samples)
            try:
                reader.read(data)
            except reader.declared:
                pass
            except Exception as error:  # noqa: BLE001  (that is what is looked for)
                found.raised(reader.name, error, data)
            found.inputs += 1
    found.look_at_memory()
    found.seconds = time.monotonic() - began
    found.more.append(f"{len(all_)} readers")
    return found


def front_door(inputs: int, seed: int, seconds: float = 1e9) -> Findings:
    """Mangled inputs against the front door; ends earlier when the time is over."""
    found, visits = Findings("front door"), Visits(Random(seed))
    began, looked = time.monotonic(), -1
    visits.refused = found.undeclare
    while visits.inputs < inputs and time.monotonic() - began < seconds:
        if visits.inputs * 10 // inputs > looked:
            looked = visits.inputs * 10 // inputs
            found.look_at_memory()
        visits.run(min(2_000, inputs - visits.inputs))
    visits.run_on_sockets(inputs // _IN_MEMORY_FOR_ONE_ON_SOCKETS)
    found.look_at_memory()
    found.inputs, found.seconds = visits.inputs, time.monotonic() - began
    found.more += [f"{visits.connections} connections", f"{visits.served} of {visits.good} good clients served"]
    if visits.served < visits.good:
        found.undeclare("a good client was not served", visits.unserved)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs of each part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="the longest that each part may take")
    parser.add_argument("--part", choices=["decoders", "door", "all"], default="all")
    asked = parser.parse_args()
    parts = [decoders] * (asked.part != "door") + [front_door] * (asked.part != "decoders")
    found = [part(asked.inputs, asked.seed, asked.seconds) for part in parts]
    for findings in found:
        for violation in findings.violations:
            sys.stdout.write(f"VIOLATION {findings.name}: {violation}\n")
    for findings in found:
        sys.stdout.write(f"{findings.last_line}\n")
    return 1 if any(findings.violations for findings in found) else 0


if __name__ == "__main__":
    sys.exit(main())
