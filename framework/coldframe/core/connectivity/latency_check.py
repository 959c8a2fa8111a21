"""How far away the venue is, and which keys of the configuration are too small for that way (faults.md C6).

A request that travels longer than its receive window is refused (-1021), an answer that takes longer than we wait for it leaves
its order in doubt for a while. Neither is mended by trying again, so it is said once, with the key and a value that suffices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

#: The largest receive window that the venue advises (protocol.md 6.1); beyond it only for a way that is longer.
ADVISED_WINDOW_MS: Final = 5_000


def too_near(round_trip_ms: int, recv_window_ms: int, answer_ms: int) -> Iterator[str]:
    """A line for each key that does not allow for a round trip of this length; how much of it is the way there is not known."""
    seconds = f"{round_trip_ms / 1000:.1f} s"
    if recv_window_ms <= round_trip_ms:
        yield (
            f"round trip to the venue is {seconds}; recv_window_ms = {recv_window_ms} is too small:"
            f" set [orders] recv_window_ms = {enough_ms(round_trip_ms)}"
        )
    if answer_ms <= round_trip_ms:
        yield (
            f"round trip to the venue is {seconds}; answer_ms = {answer_ms} is too small:"
            f" set [orders] answer_ms = {_rounded(2 * round_trip_ms)}"
        )


def enough_ms(round_trip_ms: int) -> int:
    """A receive window that suffices for a way of this length, there and back."""
    return max(ADVISED_WINDOW_MS, _rounded(2 * round_trip_ms))


def _rounded(length_ms: int) -> int:
    return min(-(-length_ms // 1_000) * 1_000, 60_000)
