"""Which processes are a container's, told from all others by what is mounted in their namespace."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.accounts import SystemAccounts
from darlingbuilder.adapters.darling import Launcher
from darlingbuilder.adapters.process import Start
from darlingbuilder.adapters.volumes import LoopVolumes
from darlingbuilder.core import wait
from tests.fakes.programs import write

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")

# What Darling does to its prefix, by the very name that it was given (darlingserver.cpp).
OVERLAY = (
    'mount -t overlay -o "lowerdir=$PWD/low,upperdir={prefix},workdir={prefix}.workdir,index=off" overlay {prefix}'
)
Mounting = Callable[[str], int]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A prefix in a state directory that is a link to another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    return tmp_path / "state" / "prefix"


@pytest.fixture
def mounting(prefix: Path, tmp_path: Path) -> Iterator[Mounting]:
    """Start a darlingserver in a namespace of its own, where the disk is mounted and then what a script says."""
    disk, server = prefix.parent.resolve(), tmp_path / "darlingserver"
    made = f"mount -t tmpfs disk {disk}; cd {disk}; mkdir low prefix prefix.workdir prefix/nix elsewhere"
    write(server, "sleep 60; :")
    with ExitStack() as started:

        def start(script: str) -> int:
            text = f"set -e; {made}; {script.format(prefix=prefix)}; exec {server} {prefix}"
            with Path(os.devnull).open("wb") as nowhere:
                running = process.spawn("unshare", "--mount", "bash", "-c", text, start=Start(), log=nowhere)
            started.callback(running.wait, 5)
            started.callback(os.killpg, running.pid, signal.SIGKILL)
            # A script that fails ends the process, and the test.
            assert wait.until(lambda: is_server(running.pid), seconds=5)
            return running.pid

        yield start


def is_server(pid: int) -> bool:
    found = procfs.process(pid)
    return found is not None and found.name == "darlingserver" and len(found.arguments) > 1


def launcher(prefix: Path) -> Launcher:
    return Launcher(prefix, "root", SystemAccounts(), "/nowhere/darling", boot_timeout=1)


@pytest.mark.parametrize("named", ["{prefix}", "$PWD/prefix"], ids=["as it is set", "as it really is"])
def test_those_that_have_the_prefix_as_an_upper_layer_are(mounting: Mounting, prefix: Path, named: str) -> None:
    pid = mounting(OVERLAY.replace("{prefix}", named))
    assert pid in {found.pid for found in launcher(prefix).processes()}


@pytest.mark.parametrize(
    "script",
    [
        "mount --bind elsewhere {prefix}",
        "mount -t tmpfs disk {prefix}",
        "mount --bind -o ro {prefix} {prefix}",
        "mount -t overlay -o lowerdir={prefix}:low overlay elsewhere",
        f"mkdir other other.workdir; {OVERLAY.replace('{prefix}', '$PWD/other')}",
    ],
    ids=["a directory of the host", "a disk", "a barred way", "a lower layer", "another prefix"],
)
def test_whoever_has_anything_else_mounted_there_is_not_and_survives(
    mounting: Mounting, prefix: Path, script: str
) -> None:
    pid = mounting(script)
    straight = launcher(prefix.parent.resolve() / prefix.name)
    assert straight.processes() == []

    straight.shutdown()

    assert procfs.alive(pid)


def test_the_processes_of_a_container_are_ended_with_it(mounting: Mounting, prefix: Path) -> None:
    pid, other = mounting(OVERLAY), mounting("mount --bind elsewhere {prefix}")

    launcher(prefix).shutdown()

    assert not procfs.alive(pid)
    assert procfs.alive(other)


def test_a_mount_whose_name_is_no_text_keeps_nobody_from_looking(mounting: Mounting, prefix: Path) -> None:
    stranger = "p=$(printf 'x\\377\\ry'); mkdir $p; mount -t tmpfs disk $p"
    mounting(stranger)
    pid = mounting(f"{stranger}; {OVERLAY}")

    assert pid in {found.pid for found in launcher(prefix).processes()}


def test_its_files_and_mounts_are_those_that_the_guest_sees(mounting: Mounting, prefix: Path) -> None:
    prefix.mkdir()
    (prefix / "seen").write_text("by the host\n")
    guest = mounting(f"{OVERLAY}; echo by the guest > {{prefix}}/seen; mount --bind elsewhere {{prefix}}/nix")
    (prefix / ".init.pid").write_text(f"{guest}\n")
    found = launcher(prefix)

    assert found.server() == guest
    assert found.files().read(Path("/seen")) == b"by the guest\n"
    assert found.is_mounted(Path("/nix"))
    assert not found.is_mounted(Path("/seen"))


def test_a_mount_of_our_own_is_found_behind_a_link(prefix: Path) -> None:
    place = prefix.parent / "nix"
    place.mkdir()
    process.run("mount", "-t", "tmpfs", "darlingbuilder-test", place)
    try:
        assert LoopVolumes().is_mounted(place)
        LoopVolumes().unmount(place)
        assert not LoopVolumes().is_mounted(place)
    finally:
        process.run("umount", place, check=False)
