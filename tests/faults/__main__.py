"""`python -m tests.faults` writes docs/faults.md anew where it has changed: which fault is shown by which test."""

from __future__ import annotations

from tests.faults.table import PAGE, page

made = page()
if PAGE.read_text(encoding="utf-8") != made:
    PAGE.write_text(made, encoding="utf-8")
