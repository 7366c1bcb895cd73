"""The system's users in memory, and a systemd-sysusers that reads what it is given."""

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters import identity
from darlingbuilder.adapters.identity import Answer
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.errors import CommandError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.tree import ROOT, Tree

_NUMBER = 4711
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,30}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A user as its passwd line describes it."""

    owner: Owner
    gecos: str = ""
    home: str = "/"
    shell: str = "/usr/sbin/nologin"


@dataclass(slots=True)
class FakeAccounts:
    """A table of users. ``broken``: systemd-sysusers ends well and makes nobody, as it does where NSS hides /etc."""

    host: Tree
    entries: dict[str, Entry] = field(default_factory=lambda: {"root": Entry(ROOT, "root", "/root", "/bin/bash")})
    broken: bool = False

    def find(self, name: str) -> Account | None:
        """See Accounts."""
        entry = self.entries.get(name)
        return Account(name, entry.owner) if entry else None

    def create(self, sysusers_file: Path) -> None:
        """See Accounts."""
        content = self.host.read(sysusers_file)
        if content is None:
            raise CommandError(f"{sysusers_file}: No such file or directory", hint="it must be written first")
        for number, line in enumerate(content.decode().splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                self._create_one(line, f"{sysusers_file}:{number}")

    def delete(self, name: str) -> None:
        """See Accounts."""
        self.entries.pop(name, None)

    def perform(
        self, account: Account, action: Callable[[], Answer], kind: type[Answer], *, seconds: float
    ) -> Answer:
        """See Accounts. It is done as ourselves: nobody else owns anything here."""
        assert account.name in self.entries
        return identity.as_user(None, action, kind, seconds=seconds)

    def add(self, name: str, *, uid: int | None = None) -> Account:
        """Make a user as an administrator or NixOS would; without ``uid`` one that files here can belong to."""
        owner = _free_owner() if uid is None else Owner(uid, uid)
        self.entries[name] = Entry(owner)
        return Account(name, owner)

    def _create_one(self, line: str, where: str) -> None:
        kind, name, number, gecos, home, shell = (shlex.split(line) + ["-"] * 6)[:6]
        if kind != "u":
            raise CommandError(f"{where}: Unknown command type '{kind}'.", hint="see sysusers.d(5)")
        if not _NAME.fullmatch(name):
            raise CommandError(f"{where}: '{name}' is not a valid user name.", hint="see sysusers.d(5)")
        if number != "-" and not number.isdigit():
            raise CommandError(f"{where}: Failed to parse UID: '{number}'", hint="see sysusers.d(5)")
        if home != "-" and (not home.startswith("/") or ":" in home):
            raise CommandError(f"{where}: '{home}' is not a valid home directory.", hint="see sysusers.d(5)")
        if self.broken or name in self.entries:
            return
        default = Entry(_free_owner() if number == "-" else Owner(int(number), int(number)))
        self.entries[name] = Entry(
            default.owner,
            gecos if gecos != "-" else default.gecos,
            home if home != "-" else default.home,
            shell if shell != "-" else default.shell,
        )


def _free_owner() -> Owner:
    """Root can give files to anybody; others can own files as they themselves only."""
    return Owner(os.geteuid() or _NUMBER, os.getegid() or _NUMBER)
