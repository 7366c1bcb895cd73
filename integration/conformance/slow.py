"""Boots that a stock Darling gives up after 15 s."""

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from .launcher import BOOT_SECONDS, NewPrefix, Outcome, Prefix
from .processes import Account

# A prefix path of this many bytes fails; one of LONGEST works.
TOO_LONG = 80
LONGEST = 78
REFUSED = (",", ":", "\\")

EMPTY_DIRECTORY = "empty directory"
LONG_PATH = "path of 80 bytes"
KINDS = (EMPTY_DIRECTORY, LONG_PATH, *REFUSED)


def of_length(prefix: Prefix, length: int) -> Prefix:
    """Give a prefix that does not exist yet a path of this many bytes."""
    parent = prefix.path.parent
    prefix.path = parent / ("p" * (length - len(os.fspath(parent)) - 1))
    assert len(os.fspath(prefix.path)) == length
    return prefix


class SlowBoots:
    """Boots of every kind that fails, by every user, running side by side."""

    def __init__(self, new_prefix: NewPrefix, accounts: Iterable[Account]) -> None:
        self.prefixes = {
            (kind, account): _prepare(new_prefix, kind, account) for account in accounts for kind in KINDS
        }
        self._pool = ThreadPoolExecutor(len(self.prefixes))
        self._outcomes: dict[tuple[str, Account], Future[Outcome]] = {
            key: self._pool.submit(prefix.call, "shell", "true", seconds=BOOT_SECONDS)
            for key, prefix in self.prefixes.items()
        }

    def outcome(self, kind: str, account: Account) -> Outcome:
        return self._outcomes[kind, account].result()

    def end(self) -> None:
        self._pool.shutdown()


def _prepare(new_prefix: NewPrefix, kind: str, account: Account) -> Prefix:
    if kind == LONG_PATH:
        return of_length(new_prefix(account), TOO_LONG)
    if kind != EMPTY_DIRECTORY:
        return new_prefix(account, f"p{kind}q")
    prefix = new_prefix(account)
    prefix.path.mkdir()
    os.chown(prefix.path, account.uid, account.gid)
    return prefix
