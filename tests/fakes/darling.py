"""A launcher whose prefix is a real directory and whose container is a state: up or down."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, NoReturn

from darlingbuilder.adapters.accounts import Accounts
from darlingbuilder.adapters.namespaces import Layers
from darlingbuilder.adapters.process import Account, Completed, Running
from darlingbuilder.adapters.procfs import Process
from darlingbuilder.core.attributes import Attributes
from darlingbuilder.core.errors import DarlingError, PrerequisiteError
from darlingbuilder.core.links import Links
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import PASSWD
from darlingbuilder.core.tree import Tree
from tests.fakes.ledger import LedgerTree

# Above the kernel's largest pid: nobody who looks for it finds it, nobody who signals it hits anything.
_SERVER = 4194305
_WIPED = (Path("/var/run"), Path("/var") / "tmp")
_DIRECTORIES = (
    "/", "/Volumes", "/Applications", "/usr", "/usr/local", "/usr/local/share", "/private", "/private/var",
    "/private/var/log", "/private/var/db", "/private/etc", "/var", *map(str, _WIPED), "/var/log", "/Users",
)  # fmt: skip
_PID_FILE = Path("/.init.pid")
Answer = Callable[[tuple[str, ...]], tuple[int, str]]


@dataclass(slots=True)
class FakeProgram:
    """A command in the container; it runs until somebody ends it, or it ends by itself."""

    pid: int
    command: tuple[str, ...]
    code: int | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.code is None

    def poll(self) -> int | None:
        """See Running."""
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        """See Running."""
        if self.code is None:
            raise subprocess.TimeoutExpired("darling", timeout or 0)
        return self.code


@dataclass(frozen=True)
class GuestTree(LedgerTree):
    """The guest's files, with what is bound into them: guest's directory → host's."""

    mounts: dict[Path, Path] = field(default_factory=dict)
    overlays: dict[Path, Layers] = field(default_factory=dict)

    def attributes(self, path: Path) -> Attributes | None:
        """See Tree."""
        tree, inside = self._lower(path)
        return tree.attributes(inside) if tree else super().attributes(path)

    def head(self, path: Path, count: int) -> bytes | None:
        """See Tree."""
        tree, inside = self._lower(path)
        return tree.head(inside, count) if tree else super().head(path, count)

    def names(self, path: Path) -> list[str]:
        """See Tree. An overlay shows what is in either layer."""
        layers = self.overlays.get(path)
        below = Tree(layers.lower).names(Path("/")) if layers else []
        return sorted({*super().names(path), *below})

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[int]:
        """See Tree. What an overlay has only below is copied up first."""
        tree, inside = self._lower(path)
        if tree:
            shutil.copy(tree.root / inside.relative_to("/"), self.overlays[path.parent].upper)
        with super().opened(path) as descriptor:
            yield descriptor

    @contextlib.contextmanager
    def descriptor(self, path: Path) -> Iterator[int]:
        """See Tree. Of an overlay it is a directory with the names of both layers, as they are at this moment."""
        if path not in self.overlays:
            with super().descriptor(path) as descriptor:
                yield descriptor
            return
        with tempfile.TemporaryDirectory() as merged:
            for name in self.names(path):
                (Path(merged) / name).touch()
            with Tree(Path(merged)).descriptor(Path("/")) as descriptor:
                yield descriptor

    @contextlib.contextmanager
    def _directory(self, path: Path) -> Iterator[int]:
        tree, inside = self._seen(path)
        with tree._directory(inside) if tree else super()._directory(inside) as descriptor:  # noqa: SLF001 - a Tree, too
            yield descriptor

    def _real(self, path: Path) -> Path:
        tree, inside = self._seen(path)
        return (tree or self).root / inside.relative_to("/")

    def _seen(self, path: Path) -> tuple[Tree | None, Path]:
        """Give the tree that is bound over ``path``, if there is one, and where in it that lies."""
        for target, layers in self.overlays.items():
            if path.is_relative_to(target):
                return Tree(layers.upper, Links.REFUSED), Path("/") / path.relative_to(target)
        for target, source in self.mounts.items():
            if path.is_relative_to(target):
                return Tree(source, Links.REFUSED), Path("/") / path.relative_to(target)
        return None, path

    def _lower(self, path: Path) -> tuple[Tree | None, Path]:
        """Give the lower layer of the overlay over ``path``, if that is there alone, and where in it that lies."""
        for target, layers in self.overlays.items():
            if path.is_relative_to(target) and path != target:
                inside = path.relative_to(target)
                if not os.path.lexists(layers.upper / inside.parts[0]) and os.path.lexists(layers.lower / inside):
                    return Tree(layers.lower), Path("/") / inside
        return None, path


@dataclass(slots=True)
class FakeDarling:
    """Sets up a prefix only where there is no directory yet, as the real one does, and boots only one that is whole.

    ``interrupted_boots``: so many boots stop half-way. ``answers``: what a program of that name in the guest does;
    others are not found. ``boots`` counts what the launcher was called for.
    """

    prefix: Path
    user: str
    accounts: Accounts
    installed: bool = True
    interrupted_boots: int = 0
    answers: dict[str, Answer] = field(default_factory=lambda: dict(_ANSWERS))
    ledger: dict[Path, Owner] = field(default_factory=dict)
    boots: int = 0
    programs: list[FakeProgram] = field(default_factory=list)
    mounts: dict[Path, Path] = field(default_factory=dict)
    overlays: dict[Path, Layers] = field(default_factory=dict)
    _up: bool = False

    def launcher(self) -> Path:
        """See Darling."""
        if not self.installed:
            raise PrerequisiteError("darling: no launcher there", hint="install Darling")
        return Path("/usr/bin/darling")

    def server(self) -> int | None:
        """See Darling."""
        return _SERVER if self._up else None

    def files(self) -> Tree:
        """See Darling."""
        return GuestTree(self.prefix, Links.REFUSED, self.ledger, self.mounts, self.overlays)

    def boot(self, log: IO[bytes]) -> None:
        """See Darling."""
        self.launcher()
        account = self._account()
        self.boots += 1
        if not self.prefix.exists():
            self._set_up(account, log)
        if self.files().read(PASSWD) is None:
            log.write(b"Error connecting to shellspawn in the container\n")
            raise DarlingError(f"the container of {self.prefix} did not boot", hint="try it by hand")
        for directory in _WIPED:
            self.files().remove(directory)
            self.files().make_directory(directory, owner=account.owner)
        self.files().write(_PID_FILE, str(_SERVER).encode(), owner=account.owner)
        self._up = True

    def shutdown(self) -> None:
        """See Darling."""
        self._up = False
        self.mounts.clear()
        self.overlays.clear()
        for program in self.programs:
            program.code = -9 if program.running else program.code
        if self.prefix.exists():
            self.files().remove(_PID_FILE)

    def mount(self, source: Path, target: Path) -> None:
        """See Darling."""
        self._must_be_up()
        if not source.is_dir():
            raise DarlingError(f"{source}: special device does not exist", hint="make it")
        if self.files().attributes(target) is None:
            raise DarlingError(f"{target}: mount point does not exist", hint="make it")
        self.mounts[target] = source

    def mount_overlay(self, layers: Layers, target: Path) -> None:
        """See Darling."""
        self._must_be_up()
        for directory in (layers.lower, layers.upper, layers.work):
            if not directory.is_dir():
                raise DarlingError(f"{directory}: No such file or directory", hint="make it")
        if self.files().attributes(target) is None:
            raise DarlingError(f"{target}: No such file or directory", hint="make it")
        self.overlays[target] = layers

    def refresh(self, target: Path) -> None:
        """See Darling. The layers of the fake are looked at anew each time."""
        self._must_be_up()
        if target not in self.overlays:
            raise DarlingError(f"{target}: Invalid argument", hint="mount it")

    def is_mounted(self, target: Path) -> bool:
        """See Darling."""
        return target in self.mounts or target in self.overlays

    def processes(self) -> list[Process]:
        """See Darling. The server and the programs that still run."""
        if not self._up:
            return []
        running = [
            Process(one.pid, _SERVER, "mldr", zombie=False, arguments=one.command)
            for one in self.programs
            if one.running
        ]
        return [Process(_SERVER, 1, "darlingserver", zombie=False, arguments=(str(self.prefix),)), *running]

    def run(self, *command: str, timeout: float) -> Completed:
        """See Darling."""
        del timeout
        self._must_be_up()
        code, output = self.answers.get(command[0], _not_found)(command)
        return Completed((str(self.launcher()), "shell", *command), code, output, "")

    def start(self, *command: str, log: IO[bytes]) -> Running:
        """See Darling. A program with an answer ends with it at once; any other runs on."""
        self._must_be_up()
        program = FakeProgram(_SERVER + 1 + len(self.programs), command)
        if answer := self.answers.get(command[0]):
            program.code, output = answer(command)
            log.write(output.encode())
        self.programs.append(program)
        return program

    def version(self, *, timeout: float) -> Completed:
        """See Darling."""
        del timeout
        code, output = self.answers["--version"](("--version",))
        return Completed((str(self.launcher()), "--version"), code, "", output)

    def at(self, prefix: Path, *, user: str, boot_timeout: float) -> "FakeDarling":
        """See Darling."""
        del boot_timeout
        return replace(self, prefix=prefix, user=user, boots=0, programs=[], mounts={}, overlays={}, _up=False)

    def become(self, *command: str, terminal: str) -> NoReturn:
        """See Darling."""
        del terminal
        raise SystemExit(self.run(*(command or ("true",)), timeout=0).code)

    def _set_up(self, account: Account, log: IO[bytes]) -> None:
        log.write(f"Setting up a new Darling prefix at {self.prefix}\n".encode())
        if not self.prefix.parent.is_dir():
            raise DarlingError(f"Cannot create {self.prefix}: No such file or directory", hint="make its parent")
        self.prefix.mkdir()
        tree, owner = self.files(), account.owner
        for directory in _DIRECTORIES:
            tree.make_directory(Path(directory), owner=owner)
        if self.interrupted_boots > 0:
            self.interrupted_boots -= 1
            raise DarlingError(f"the container of {self.prefix} did not boot", hint="try it by hand")
        ids = f"{owner.uid}:{owner.gid}"
        passwd = (
            "root:*:0:0:System Administrator:/var/root:/bin/sh\n"
            f"{account.name}:*:{ids}:Darling User:/Users/{account.name}:/bin/bash\n"
        )
        tree.write(PASSWD, passwd.encode(), owner=owner)
        tree.write(PASSWD.with_name("master.passwd"), passwd.encode(), owner=owner)
        tree.write(PASSWD.with_name("group"), f"wheel:*:0:root,{account.name}\n".encode(), owner=owner)
        tree.make_directory(Path("/Users") / account.name, owner=owner)

    def _account(self) -> Account:
        account = self.accounts.find(self.user)
        if account is None:
            raise PrerequisiteError(f"there is no user {self.user}", hint="run «darlingbuilder init»")
        return account

    def _must_be_up(self) -> None:
        if not self._up:
            raise DarlingError(f"the container of {self.prefix} is down", hint="boot it")


def _not_found(command: tuple[str, ...]) -> tuple[int, str]:
    return 127, f"{command[0]}: command not found\n"


_ANSWERS: dict[str, Answer] = {
    "true": lambda _command: (0, ""),
    "false": lambda _command: (1, ""),
    "echo": lambda command: (0, " ".join(command[1:]) + "\n"),
    "--version": lambda _command: (0, "darling master @ 0123abc\n"),
    "uname": lambda command: (0, "20.6.0\n" if "-r" in command else "Darwin\n"),
}
