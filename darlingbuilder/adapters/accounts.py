"""The system's users, and systemd-sysusers that makes them."""

import grp
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from darlingbuilder.adapters import identity, process
from darlingbuilder.adapters.identity import Answer
from darlingbuilder.adapters.process import Account
from darlingbuilder.core import wait
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.owner import Owner

# How userdel(8) ends while a process of the user's lives. What was killed a moment ago may yet have to die.
_IN_USE = 8
_SECONDS_TO_DIE = 10.0


class Accounts(Protocol):
    """The system's users."""

    def find(self, name: str) -> Account | None:
        """Look a user up; None if there is none of that name."""

    def create(self, sysusers_file: Path) -> None:
        """Make the users that a sysusers.d file describes."""

    def delete(self, name: str) -> None:
        """Delete a user and the group of that name. Succeeds if they are already gone."""

    def perform(
        self, account: Account, action: Callable[[], Answer], kind: type[Answer], *, seconds: float
    ) -> Answer:
        """Do ``action`` as ``account`` in a process of its own, and give its answer, which is of ``kind``.

        What it changes in this process's memory is lost. Raises NixError if it takes more than ``seconds``.
        """


def required(accounts: Accounts, name: str) -> Account:
    """Look up a user that must be there by now. Raises PrerequisiteError."""
    account = accounts.find(name)
    if account is None:
        raise PrerequisiteError(f"there is no user {name}", hint="make it: darlingbuilder init")
    return account


class SystemAccounts:
    """The real users."""

    def find(self, name: str) -> Account | None:
        """See Accounts."""
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            return None
        return Account(name, Owner(found.pw_uid, found.pw_gid))

    def create(self, sysusers_file: Path) -> None:
        """See Accounts."""
        process.run("systemd-sysusers", sysusers_file)

    def delete(self, name: str) -> None:
        """See Accounts."""
        if self.find(name):
            wait.until(lambda: process.run("userdel", name, check=False).code != _IN_USE, seconds=_SECONDS_TO_DIE)
        if self.find(name):
            process.run("userdel", name)  # and it says why not
        if any(group.gr_name == name for group in grp.getgrall()):
            process.run("groupdel", name)

    def perform(
        self, account: Account, action: Callable[[], Answer], kind: type[Answer], *, seconds: float
    ) -> Answer:
        """See Accounts."""
        return identity.as_user(account, action, kind, seconds=seconds)
