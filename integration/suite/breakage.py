"""Ways to put something wrong on a machine for a while: each sees that it was left alone, then takes it away."""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from integration.suite.site import CONFIG, Site

Break = Callable[[Site], AbstractContextManager[object]]


def nothing(_site: Site) -> AbstractContextManager[object]:
    """Leave the machine as it is."""
    return contextlib.nullcontext()


def settings(**wrong: object) -> Break:
    """Have the settings file say ``wrong``, too."""

    @contextlib.contextmanager
    def broken(site: Site) -> Iterator[None]:
        try:
            with _untouched(site.configure(**wrong).file(CONFIG)):
                yield
        finally:
            site.configure()

    return broken


def content(path: str, text: str | bytes) -> Break:
    """Put a file of somebody else's at ``path``, in place of what is there."""
    raw = text.encode() if isinstance(text, str) else text
    return placed(path, lambda file: file.write_bytes(raw))


def program(path: str, text: str) -> Break:
    """Put a shell script of somebody else's at ``path``."""

    def make(file: Path) -> None:
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    return placed(path, make)


def directory(path: str) -> Break:
    """Put a directory that holds something at ``path``."""

    def make(file: Path) -> None:
        file.mkdir()
        (file / "precious").write_text("precious\n")

    return placed(path, make)


def link(path: str, target: str) -> Break:
    """Put a symbolic link at ``path``."""
    return placed(path, lambda file: file.symlink_to(target))


def absent(*paths: str) -> Break:
    """Take ``paths`` away."""

    @contextlib.contextmanager
    def broken(site: Site) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for path in paths:
                stack.enter_context(_aside(site.file(path)))
            yield
            assert not [path for path in paths if os.path.lexists(site.file(path))]

    return broken


def placed(path: str, make: Callable[[Path], object]) -> Break:
    """Have ``make`` put something at ``path``, in place of what is there."""

    @contextlib.contextmanager
    def broken(site: Site) -> Iterator[None]:
        file = site.file(path)
        with _made_parents(file), _aside(file):
            make(file)
            try:
                with _untouched(file):
                    yield
            finally:
                site.machine.run("rm", "-rf", path)

    return broken


def edited(path: str, edit: Callable[[bytes], bytes]) -> Break:
    """Put what ``edit`` makes of the file at ``path`` in its place."""

    def broken(site: Site) -> AbstractContextManager[object]:
        return content(path, edit(site.file(path).read_bytes()))(site)

    return broken


def commands(do: str, undo: str) -> Break:
    """Run ``do`` in the machine's shell, and ``undo`` afterwards."""

    @contextlib.contextmanager
    def broken(site: Site) -> Iterator[None]:
        site.machine.run("sh", "-ec", do)
        try:
            yield
        finally:
            site.machine.run("sh", "-ec", undo)

    return broken


def mounted(place: str, *options: str) -> Break:
    """Mount a tmpfs with ``options`` on ``place``."""
    quoted = shlex.quote(place)
    return commands(
        f"mkdir -p {quoted}; mount -t tmpfs {shlex.join(options)} tmpfs {quoted}", f"umount {quoted}; rmdir {quoted}"
    )


def listening(port: int) -> Break:
    """Have a stranger listen on ``port``."""
    script = f"import socket,time; s=socket.create_server(('127.0.0.1',{port})); print(flush=True); time.sleep(600)"

    @contextlib.contextmanager
    def broken(site: Site) -> Iterator[None]:
        stranger = site.machine.popen("python3", "-c", script)
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == b"\n"
        try:
            yield
        finally:
            stranger.kill()
            stranger.communicate()
            site.machine.run("sh", "-c", f"while ss -Hltn sport = :{port} | grep -q .; do sleep 0.01; done")

    return broken


def together(*breaks: Break) -> Break:
    """Do all of ``breaks``, one after the other."""

    @contextlib.contextmanager
    def broken(site: Site) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for one in breaks:
                stack.enter_context(one(site))
            yield

    return broken


@contextlib.contextmanager
def _aside(file: Path) -> Iterator[None]:
    """Move what is at ``file`` out of the way, and back with every attribute that it had."""
    kept = file.with_name(f"{file.name}.aside")
    if os.path.lexists(file):
        file.rename(kept)
    try:
        yield
    finally:
        if os.path.lexists(kept):
            kept.rename(file)


@contextlib.contextmanager
def _made_parents(file: Path) -> Iterator[None]:
    missing = [parent for parent in file.parents if not parent.exists()]
    file.parent.mkdir(parents=True, exist_ok=True)
    yield
    for parent in missing:
        with contextlib.suppress(OSError):  # something else of ours may have come into it
            parent.rmdir()


@contextlib.contextmanager
def _untouched(file: Path) -> Iterator[None]:
    before = _looks(file)
    yield
    assert _looks(file) == before, f"{file} was changed"


def _looks(file: Path) -> object:
    found = file.lstat()
    target = str(file.readlink()) if file.is_symlink() else None
    inside = sorted(map(str, file.rglob("*"))) if target is None and file.is_dir() else []
    text = file.read_bytes() if target is None and file.is_file() else b""
    return (found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, target, inside, text)
