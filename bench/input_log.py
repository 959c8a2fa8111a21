"""What an input log costs: CPU time per input of writing it, as a share of a core at 10,000 inputs a second.

The frames are those of a real capture, one input each, in their order; the same lines are packed as a run packs them, one frame
of zstd (or gzip) for each half second of inputs. Beside it in the same run: reading the frame's JSON once.

Usage: python bench/input_log.py [--capture FILE] [--rounds N]
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

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


def seconds_of(work: Callable[[], object], rounds: int) -> float:
    """The best CPU time of several rounds."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capture", type=Path, default=CAPTURE)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    given = inputs(args.capture)
    log_s, read_s = seconds_of(lambda: written(given), args.rounds), seconds_of(lambda: read(given), args.rounds)
    each_us = log_s / len(given) * 1e6
    print(f"input log: {each_us:.2f} us CPU per input, {written(given) / len(given):.0f} bytes on the disk")
    print(f"reading its JSON once: {read_s / len(given) * 1e6:.2f} us CPU per input")
    print(f"ratio {log_s / read_s:.2f}")
    print(f"{each_us * RATE / 1e4:.1f} % of a core at {RATE} inputs a second")


if __name__ == "__main__":
    main()
