"""Bind mounts in another mount namespace, and the links that somebody may have planted on the way."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters import namespaces, process, procfs
from darlingbuilder.adapters.process import Start
from darlingbuilder.core import wait
from darlingbuilder.core.errors import DarlingError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process in a mount namespace of its own."""
    with Path(os.devnull).open("wb") as nowhere:
        running = process.spawn("unshare", "--mount", "sleep", "60", start=Start(), log=nowhere)
    wait.until(lambda: (found := procfs.process(running.pid)) is not None and found.name == "sleep", seconds=5)
    yield running.pid
    process.kill(running.pid, signal.SIGKILL)
    running.wait(5)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").touch()
    return tmp_path / "source"


def test_the_mount_is_seen_there_and_not_here(tmp_path: Path, source: Path, stranger: int) -> None:
    (tmp_path / "below" / "nix").mkdir(parents=True)

    namespaces.bind(source, tmp_path / "below", Path("/nix"), namespace_of=stranger)

    assert [path.name for path in Path(f"/proc/{stranger}/root{tmp_path}/below/nix").iterdir()] == ["file"]
    assert str(tmp_path / "below/nix") in procfs.mount_points(stranger)
    assert list((tmp_path / "below" / "nix").iterdir()) == []


@pytest.mark.parametrize("planted", ["below/nix", "below"])
def test_a_planted_link_is_not_followed(tmp_path: Path, source: Path, stranger: int, planted: str) -> None:
    (tmp_path / "precious" / "nix").mkdir(parents=True)
    (tmp_path / planted).parent.mkdir(exist_ok=True)
    (tmp_path / planted).symlink_to(tmp_path / "precious")

    with pytest.raises(DarlingError, match=r"Not a directory|Too many levels") as caught:
        namespaces.bind(source, tmp_path / "below", Path("/nix"), namespace_of=stranger)

    assert caught.value.hint
    assert not any("precious" in point for point in procfs.mount_points(stranger))


def test_a_process_that_has_gone_is_an_error(tmp_path: Path, source: Path) -> None:
    with pytest.raises(DarlingError, match="No such file or directory"):
        namespaces.bind(source, tmp_path, Path("/nix"), namespace_of=2**22 + 1)


def test_a_process_with_another_root_is_not_at_home() -> None:
    with Path(os.devnull).open("wb") as nowhere:
        running = process.spawn("unshare", "--root", "/usr", "/bin/sleep", "60", start=Start(), log=nowhere)
    pid = running.pid
    wait.until(lambda: (found := procfs.process(pid)) is not None and found.name == "sleep", seconds=5)
    assert not procfs.is_at_home(pid)
    assert procfs.is_at_home(os.getpid())
    process.kill(pid, signal.SIGKILL)
    running.wait(5)
    assert not procfs.is_at_home(pid)
