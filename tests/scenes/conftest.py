"""Every scene has a home of its own, so that keys of venue processes never leave it; afterwards it is searched for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenes.canary import SCENE


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}


@pytest.fixture(autouse=True)
def _canaries(tmp_path: Path) -> Iterator[None]:
    """No secret of a scene stands in any output of it, nor in any file (faults.md X1 to X4)."""
    SCENE.secrets.clear()
    SCENE.outputs.clear()
    yield
    assert list(SCENE.leaks(tmp_path)) == []
