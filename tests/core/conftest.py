"""What tests of the machines share: another process, for what must not depend on this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def in_another_process() -> Callable[[str, str], str]:
    """Runs Python code in a process with the given hash seed, and returns what it prints."""

    def run(code: str, hash_seed: str) -> str:
        environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    return run
