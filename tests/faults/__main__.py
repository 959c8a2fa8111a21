"""`python -m tests.faults` writes docs/faults.md anew: which fault is shown by which test."""

from __future__ import annotations

from tests.faults.table import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
