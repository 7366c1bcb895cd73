"""An empty machine."""

from pathlib import Path

import pytest

from tests.fakes.world import FakeWorld, fake_world


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)
