"""The table of known versions."""

import pytest

from darlingbuilder.core import nixversions, storepath
from darlingbuilder.core.errors import ConfigError


def test_the_default_is_known() -> None:
    assert nixversions.path_of(nixversions.DEFAULT) == "/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-2.31.2"


@pytest.mark.parametrize("version", nixversions.PATHS)
def test_every_path_is_a_store_path_of_its_version(version: str) -> None:
    path = nixversions.path_of(version)

    assert storepath.is_store_path(path)
    assert path.endswith(f"-nix-{version}")


def test_an_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"Nix 2\.24\.12 .* not known") as caught:
        nixversions.path_of("2.24.12")

    assert "2.19.3, 2.20.3, 2.31.2" in caught.value.hint
