"""Input log: CPU time per input of writing it, as a share of a core at 10,000 inputs a second.

The frames are those of a real capture, one input each, in their order; the same lines are packed as a run packs them, one frame
of zstd (or gzip) for each half second of inputs. Beside it in the same run: reading the frame's JSON once.

    python -m bench.input_log
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.rounds import arguments, in_turn, machine, table
from coldframe.compression import find_zstd
from coldframe.data.input_log import InputEncoder
from coldframe.data.recordings import read_recording
from coldframe.model.inputs import FramesReceived, Lane, Stamped
from coldframe.wire.frames import envelope

#: Inputs in half a second at 10,000 a second.
FLUSH = 5_000
RATE = 10_000
CAPTURE = Path(__file__).parents[2] / "shared/data/capture_2024-08-08_btcusdt_first15s.jsonl.gz"


def inputs(capture: Path) -> list[Stamped]:
    """The stream payloads of a capture as a market link brings them."""
    found = []
    for number, line in enumerate(read_recording(capture), 1):
        if isinstance(line.stream, str):
            received = FramesReceived("market:1", (envelope(line.stream, line.payload),))
            found.append(Stamped(number, line.t, Lane.MARKET, received))
    return found


def written(given: list[Stamped]) -> int:
    """Encodes and packs every input. Returns how many bytes that gives."""
    zstd, encoder, size = find_zstd(), InputEncoder(), 0
    for begin in range(0, len(given), FLUSH):
        lines = b"".join(encoder.step(stamped, []) + b"\n" for stamped in given[begin : begin + FLUSH])
        size += len(gzip.compress(lines, 1) if zstd is None else zstd.compress(lines, 1))
    return size


def read(given: list[Stamped]) -> None:
    """Reads the JSON of every frame once."""
    for stamped in given:
        for frame in stamped.event.frames:  # type: ignore[union-attr]
            msgspec.json.decode(frame)


def main(words: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--capture", type=Path, default=CAPTURE)
    given = parser.parse_args(words)
    taken = inputs(given.capture)[: 200 if given.quick else None]
    ways = {"reading its JSON once": lambda: read(taken), "input log": lambda: written(taken)}
    costs = {name: cost / len(taken) for name, cost in in_turn(ways, 1 if given.quick else given.rounds).items()}
    print(f"{machine()}; us CPU per input, {written(taken) / len(taken):.0f} bytes on the disk")
    print(table(["way", "us", "ratio"], [[name, cost, cost / costs["reading its JSON once"]] for name, cost in costs.items()]))
    print(f"{costs['input log'] * RATE / 1e4:.1f} % of a core at {RATE} inputs a second")


if __name__ == "__main__":
    main()
