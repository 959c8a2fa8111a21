"""Mutants that no test can or need notice, each with its reason. Names as `Mutant.name` prints them."""

from __future__ import annotations

from typing import Final

EXPLAINED: Final[dict[str, str]] = {}
