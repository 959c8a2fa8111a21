"""One short run that several tests look at."""

from __future__ import annotations

import pytest

from tests.runtime.scene import Scene, play


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return play(tmp_path_factory.mktemp("scene"), looked_at=True)
