"""The distributions: the same bytes from the same sources, wherever they are built, and the shim among them."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.machine.commands import run
from integration.packaging import distributions
from integration.packaging.distributions import BUILT, checkout

MACHO = bytes.fromhex("cffaedfe")
GUEST = "darlingbuilder/guest"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of these sources."""
    place = tmp_path_factory.mktemp("wheel")
    return distributions.wheel(checkout(place / "sources"), place / "dist")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of these sources."""
    place = tmp_path_factory.mktemp("sdist")
    return distributions.sdist(checkout(place / "sources"), place / "dist")


@pytest.fixture
def unlike(tmp_path: Path) -> Iterator[Path]:
    """The same sources on quite another machine: another place, umask and date, none of them tidy."""
    umask = os.umask(0o077)
    sources = checkout(tmp_path / "a place with another name" / "sources")
    for file in sources.rglob("*"):
        os.utime(file, (86400, 86400), follow_symlinks=False)
        file.chmod(0o700 if file.is_dir() else 0o600)
    yield sources
    os.umask(umask)


def test_a_wheel_is_the_same_wherever_it_is_built(wheel: Path, unlike: Path, tmp_path: Path) -> None:
    # zig's cache is a new one, too: nothing comes from the first build.
    other = distributions.wheel(unlike, tmp_path / "dist", zig_cache=tmp_path / "zig")

    assert other.name == wheel.name
    assert other.read_bytes() == wheel.read_bytes()


def test_an_sdist_is_the_same_wherever_it_is_built(sdist: Path, unlike: Path, tmp_path: Path) -> None:
    other = distributions.sdist(unlike, tmp_path / "dist")

    assert other.name == sdist.name
    assert other.read_bytes() == sdist.read_bytes()


def test_the_sdist_is_enough_to_build_the_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    sources = distributions.unpacked(sdist, tmp_path / "unpacked")
    assert not [name for name in BUILT if (sources / GUEST / name).exists()]

    other = distributions.wheel(sources, tmp_path / "dist")

    assert other.read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_what_runs_in_the_guest_and_not_its_sources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        inside = {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist() if GUEST in name}

    assert set(inside) == set(BUILT)
    assert {content[:4] for content in inside.values()} == {MACHO}


def test_an_editable_install_finds_the_shim(tmp_path: Path) -> None:
    sources = checkout(tmp_path / "sources")

    python = distributions.install_editable(sources, tmp_path / "venv")

    found = run((str(python), "-c", "from darlingbuilder.core import shim; print(shim.dylib())"), cwd=tmp_path)
    shim = sources / GUEST / BUILT[0]
    assert found.stdout == f"{shim}\n"
    assert shim.read_bytes()[:4] == MACHO
