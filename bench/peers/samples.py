"""Samples of how long something took, written down when there are enough of them. Only the standard library is imported."""

from __future__ import annotations

import json
import time
from pathlib import Path


class Samples:
    """Times from `begin` to `end`, in nanoseconds; the file holds all of them, as JSON, once there are enough."""

    def __init__(self, out: str, wanted: int) -> None:
        self._out, self._wanted = Path(out), wanted
        self._began, self._taken = 0, list[int]()

    @property
    def complete(self) -> bool:
        return len(self._taken) >= self._wanted

    def begin(self) -> None:
        self._began = time.perf_counter_ns()

    def end(self) -> None:
        if self.complete:
            return
        self._taken.append(time.perf_counter_ns() - self._began)
        if self.complete:
            whole = self._out.with_suffix(".whole")
            whole.write_text(json.dumps(self._taken), encoding="utf-8")
            whole.replace(self._out)
