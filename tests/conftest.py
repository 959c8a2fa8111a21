"""What all tests share: where the shared documents and recordings lie, and property tests that repeat themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

#: Documents and real data beside the project; absent in a bare clone.
SHARED = Path(__file__).resolve().parents[1] / "../shared"
ABSENT = "the folder ../shared with the documents and recordings is not there"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=ABSENT)

settings.register_profile("coldframe", deadline=None, database=None, derandomize=True, max_examples=200)
settings.register_profile("explore", deadline=None, database=None, max_examples=2000)
settings.load_profile("coldframe")
