from pathlib import Path

import pytest

from darlingbuilder.core import shim
from darlingbuilder.core.errors import PrerequisiteError


def test_an_installation_without_the_shim_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"guest/compat\.dylib: the compat shim was not built") as raised:
        shim.dylib(tmp_path)

    assert "install darlingbuilder from its wheel" in raised.value.hint
