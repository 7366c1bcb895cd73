"""What the launcher's adapter can tell where no container runs; the rest is in the contract and the conformance."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.accounts import SystemAccounts
from darlingbuilder.adapters.darling import Launcher
from darlingbuilder.adapters.process import Start
from darlingbuilder.core import wait
from darlingbuilder.core.errors import DarlingError, PrerequisiteError
from darlingbuilder.core.links import Links
from tests.fakes.programs import write

PID_FILE = ".init.pid"


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    """Give the adapter for a prefix that is there and down, with a launcher that is not there."""
    (tmp_path / "prefix").mkdir()
    return Launcher(tmp_path / "prefix", "root", SystemAccounts(), "/nowhere/darling", boot_timeout=1)


@contextmanager
def server(directory: Path, *arguments: str) -> Iterator[int]:
    """Run something that is called darlingserver."""
    write(directory / "darlingserver", "sleep 60; :")
    with Path(os.devnull).open("wb") as nowhere:
        running = process.spawn(directory / "darlingserver", *arguments, start=Start(), log=nowhere)
    # It gets its name a moment before its arguments.
    wait.until(lambda: (found := procfs.process(running.pid)) is not None and len(found.arguments) > 1, seconds=5)
    try:
        yield running.pid
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(5)


def note(launcher: Launcher, content: bytes | int) -> None:
    raw = content if isinstance(content, bytes) else f"{content}\n".encode()
    (launcher.prefix / PID_FILE).write_bytes(raw)


def test_a_prefix_that_is_absent_has_no_server(launcher: Launcher, tmp_path: Path) -> None:
    absent = replace(launcher, prefix=tmp_path / "absent")

    assert absent.server() is None
    assert absent.processes() == []
    assert not absent.is_mounted(Path("/nix"))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"none\n", b"-1\n", b"0\n", b"1 2\n", b"\xff\x00", "²".encode(), b"1" * 300, b"9" * 5000],
    ids=lambda content: repr(content[:8]),
)
def test_a_pid_file_that_holds_no_pid_is_not_believed(launcher: Launcher, content: bytes) -> None:
    note(launcher, content)
    assert launcher.server() is None


def test_a_pid_file_that_no_memory_holds_is_not_believed(launcher: Launcher) -> None:
    note(launcher, b"")
    os.truncate(launcher.prefix / PID_FILE, 1 << 40)
    assert launcher.server() is None


def test_the_pid_of_a_process_that_has_ended_is_not_believed(launcher: Launcher, tmp_path: Path) -> None:
    with server(tmp_path, str(launcher.prefix)) as pid:
        note(launcher, pid)
    assert launcher.server() is None


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["pid 1", "our own"])
def test_the_pid_of_another_program_is_not_believed(launcher: Launcher, pid: int) -> None:
    note(launcher, pid)
    assert launcher.server() is None


def test_the_server_of_another_prefix_is_not_believed(launcher: Launcher, tmp_path: Path) -> None:
    with server(tmp_path, f"{launcher.prefix}-2") as pid:
        note(launcher, pid)
        assert launcher.server() is None


def test_a_live_server_of_this_prefix_is_believed(launcher: Launcher, tmp_path: Path) -> None:
    with server(tmp_path, str(launcher.prefix)) as pid:
        note(launcher, pid)
        assert launcher.server() == pid
        assert launcher.files().root == Path(f"/proc/{pid}/root{launcher.prefix}")


def test_a_server_that_nobody_has_reaped_is_not_believed(launcher: Launcher, tmp_path: Path) -> None:
    with server(tmp_path, str(launcher.prefix)) as pid:
        note(launcher, pid)
        process.kill(pid, signal.SIGKILL)
        wait.until(lambda: not procfs.alive(pid), seconds=5)
        assert launcher.server() is None


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_a_pid_file_that_is_no_file_is_not_believed(launcher: Launcher, tmp_path: Path, kind: str) -> None:
    place = launcher.prefix / PID_FILE
    with server(tmp_path, str(launcher.prefix)) as pid:
        if kind == "link":
            (tmp_path / "outside").write_text(f"{pid}\n")
            place.symlink_to(tmp_path / "outside")
        elif kind == "directory":
            place.mkdir()
        else:
            os.mkfifo(place)
        assert launcher.server() is None


def test_down_the_files_are_those_of_the_prefix_and_links_are_refused(launcher: Launcher) -> None:
    files = launcher.files()
    assert (files.root, files.links) == (launcher.prefix, Links.REFUSED)


@pytest.mark.parametrize("program", ["/nowhere/darling", "/usr"])
def test_a_launcher_that_is_named_and_not_there_is_a_missing_prerequisite(launcher: Launcher, program: str) -> None:
    with pytest.raises(PrerequisiteError, match=f"{program}: no launcher there") as caught:
        replace(launcher, program=program).launcher()
    assert "«darling»" in caught.value.hint


def test_a_launcher_that_is_named_is_taken(launcher: Launcher, tmp_path: Path) -> None:
    write(tmp_path / "mine", "exit 1")
    assert replace(launcher, program=str(tmp_path / "mine")).launcher() == tmp_path / "mine"


def test_a_launcher_on_the_path_is_found(launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "bin" / "darling", "exit 1")
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}/bin")
    assert replace(launcher, program="").launcher() == tmp_path / "bin" / "darling"


@pytest.mark.skipif(process.find("darling") is not None, reason="there is one on this machine")
def test_without_any_launcher_the_remedy_is_to_install_darling(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PrerequisiteError, match="darling: no launcher there") as caught:
        replace(launcher, program="").launcher()
    assert "install Darling" in caught.value.hint


def test_a_shutdown_of_what_is_down_only_takes_the_stale_pid(launcher: Launcher) -> None:
    note(launcher, 1)
    (launcher.prefix / "kept").touch()

    for _ in range(2):
        launcher.shutdown()
        assert [path.name for path in launcher.prefix.iterdir()] == ["kept"]


def test_a_shutdown_of_what_is_absent_makes_nothing(launcher: Launcher, tmp_path: Path) -> None:
    shutil.rmtree(launcher.prefix)
    launcher.shutdown()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_mounted_in_what_is_down(launcher: Launcher, tmp_path: Path) -> None:
    with pytest.raises(DarlingError, match=f"the container of {launcher.prefix} is down") as caught:
        launcher.mount(tmp_path, Path("/nix"))
    assert caught.value.hint == "start it: darlingbuilder start"


def test_without_a_launcher_nothing_is_booted_and_the_prefix_stays(launcher: Launcher, tmp_path: Path) -> None:
    (launcher.prefix / "precious").touch()
    with pytest.raises(PrerequisiteError, match="no launcher there"), (tmp_path / "log").open("wb") as log:
        launcher.boot(log)
    assert (launcher.prefix / "precious").exists()


def test_without_its_user_nothing_is_run(launcher: Launcher, tmp_path: Path) -> None:
    write(tmp_path / "darling", f"touch {tmp_path}/called")
    nobody = replace(launcher, user="nobody-there", program=str(tmp_path / "darling"))

    with pytest.raises(PrerequisiteError, match="there is no user nobody-there"):
        nobody.run("true", timeout=5)

    assert not (tmp_path / "called").exists()
