"""Recordings looked at from outside: what one holds, and whether our books come out right on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def describe_tape(path: Path) -> tuple[dict[str, Any], list[str], Sequence[str]]:
    raise NotImplementedError


def verify_tape(path: Path) -> tuple[dict[str, Any], list[str], Sequence[str]]:
    raise NotImplementedError
