"""Bind mounts in another mount namespace, and the links that somebody may have planted on the way."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import mounts, namespaces, process, procfs
from darlingbuilder.adapters.namespaces import Layers, Place
from darlingbuilder.adapters.process import Start
from darlingbuilder.core import wait
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.owner import Owner

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")
SOMEBODY = Owner(4242, 4243)


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process in a mount namespace of its own."""
    with Path(os.devnull).open("wb") as nowhere:
        running = process.spawn("unshare", "--mount", "sleep", "60", start=Start(), log=nowhere)
    wait.until(lambda: (found := procfs.process(running.pid)) is not None and found.name == "sleep", seconds=5)
    yield running.pid
    process.kill(running.pid, signal.SIGKILL)
    running.wait(5)


def points(pid: int) -> set[Path]:
    return {mount.point for mount in mounts.of(pid)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").touch()
    return tmp_path / "source"


def test_the_mount_is_seen_there_and_not_here(tmp_path: Path, source: Path, stranger: int) -> None:
    (tmp_path / "below" / "nix").mkdir(parents=True)

    namespaces.bind(source, Place(tmp_path / "below", Path("/nix"), stranger))

    assert [path.name for path in Path(f"/proc/{stranger}/root{tmp_path}/below/nix").iterdir()] == ["file"]
    assert tmp_path / "below/nix" in points(stranger)
    assert list((tmp_path / "below" / "nix").iterdir()) == []


@pytest.mark.parametrize("planted", ["below/nix", "below"])
def test_a_planted_link_is_not_followed(tmp_path: Path, source: Path, stranger: int, planted: str) -> None:
    (tmp_path / "precious" / "nix").mkdir(parents=True)
    (tmp_path / planted).parent.mkdir(exist_ok=True)
    (tmp_path / planted).symlink_to(tmp_path / "precious")

    with pytest.raises(DarlingError, match=r"Not a directory|Too many levels") as caught:
        namespaces.bind(source, Place(tmp_path / "below", Path("/nix"), stranger))

    assert caught.value.hint
    assert not any("precious" in str(point) for point in points(stranger))


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    """A store of root's with a lock that is root's alone, and a directory of somebody else's to write into."""
    made = Layers(tmp_path / "store", tmp_path / "a,b:c\\d" / "upper", tmp_path / "a,b:c\\d" / "work", SOMEBODY)
    for directory in (made.lower, made.upper, made.work, tmp_path / "below" / "store"):
        directory.mkdir(parents=True)
    os.chown(made.upper, SOMEBODY.uid, SOMEBODY.gid)
    for path in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
        path.chmod(0o755)
    (made.lower / "x.lock").touch(mode=0o600)
    return made


@pytest.fixture
def place(tmp_path: Path, stranger: int) -> Place:
    return Place(tmp_path / "below", Path("/store"), stranger)


def seen(place: Place) -> Path:
    return Path(f"/proc/{place.namespace_of}/root{place.below}{place.path}")


def as_somebody(place: Place, script: str) -> str:
    """Run a shell in that namespace and directory as the user that writes the upper layer."""
    completed = process.run(
        "nsenter", f"--mount=/proc/{place.namespace_of}/ns/mnt", "setpriv", f"--reuid={SOMEBODY.uid}",
        f"--regid={SOMEBODY.gid}", "--clear-groups", "sh", "-c", f"cd {place.below}{place.path} && {script}",
        check=False,
    )  # fmt: skip
    return completed.stdout + completed.stderr


def test_an_overlay_gives_the_lower_layer_to_whoever_writes_the_upper_one(layers: Layers, place: Place) -> None:
    namespaces.overlay(layers, place)

    assert as_somebody(place, "echo held > x.lock && mkdir own && stat -c %u x.lock own") == "4242\n4242\n"
    assert (layers.upper / "x.lock").read_text() == "held\n"
    assert (layers.lower / "x.lock").read_text() == ""
    assert (layers.lower / "x.lock").stat().st_uid == 0
    assert sorted(path.name for path in layers.lower.iterdir()) == ["x.lock"]


def test_of_an_overlay_nothing_is_mounted_but_itself(layers: Layers, place: Place) -> None:
    before = len(Path(f"/proc/{place.namespace_of}/mountinfo").read_text().splitlines())

    namespaces.overlay(layers, place)

    lines = Path(f"/proc/{place.namespace_of}/mountinfo").read_text().splitlines()
    assert len(lines) == before + 1
    assert " - overlay darlingbuilder " in lines[-1]
    assert {"nosuid", "nodev"} <= set(lines[-1].split()[5].split(","))
    assert not any(point.is_relative_to(place.below) for point in points(os.getpid()))


def test_what_was_looked_up_in_vain_is_found_after_a_refresh(layers: Layers, place: Place) -> None:
    namespaces.overlay(layers, place)
    assert not (seen(place) / "late").exists()
    (layers.lower / "late").touch()
    assert not (seen(place) / "late").exists(), "this kernel has no need of it"

    namespaces.refresh(place)

    assert (seen(place) / "late").exists()
    as_somebody(place, "touch still-writable")
    assert (layers.upper / "still-writable").exists()


@pytest.mark.parametrize("planted", ["upper", "work"])
def test_a_layer_that_is_a_link_is_refused(layers: Layers, place: Place, tmp_path: Path, planted: str) -> None:
    (layers.upper.parent / planted).rename(tmp_path / "precious")
    (layers.upper.parent / planted).symlink_to(tmp_path / "precious")

    with pytest.raises(DarlingError, match=r"Not a directory|Too many levels"):
        namespaces.overlay(layers, place)

    assert "overlay darlingbuilder" not in Path(f"/proc/{place.namespace_of}/mountinfo").read_text()


def test_a_lower_layer_that_cannot_be_mapped_is_told_of_and_leaves_nothing(layers: Layers, place: Place) -> None:
    before = Path(f"/proc/{place.namespace_of}/mountinfo").read_text()

    with pytest.raises(DarlingError, match="cannot be mounted id-mapped: Invalid argument") as caught:
        namespaces.overlay(replace(layers, lower=Path("/proc/sys")), place)

    assert "doctor" in caught.value.hint
    assert Path(f"/proc/{place.namespace_of}/mountinfo").read_text() == before


def test_an_upper_layer_that_does_not_fit_leaves_nothing(layers: Layers, place: Place) -> None:
    before = Path(f"/proc/{place.namespace_of}/mountinfo").read_text()

    with pytest.raises(DarlingError, match=r"an overlay over .*: Invalid argument"):
        namespaces.overlay(replace(layers, work=layers.upper), place)

    assert Path(f"/proc/{place.namespace_of}/mountinfo").read_text() == before


def test_a_process_that_has_gone_is_an_error(tmp_path: Path, source: Path) -> None:
    with pytest.raises(DarlingError, match="No such file or directory"):
        namespaces.bind(source, Place(tmp_path, Path("/nix"), 2**22 + 1))


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
