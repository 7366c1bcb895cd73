"""What every suite for a `darling` needs: accounts, a place, prefixes that leave nothing, a third verdict."""

import os
import pwd
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from .defect import MENDED, Defect
from .launcher import NewPrefix, Prefix
from .processes import Account

# Every machine has this user, nothing else runs as it here, and no account need be made and removed.
ORDINARY_USER = "nobody"


@pytest.fixture
def defect(request: pytest.FixtureRequest) -> Defect:
    node: pytest.Item = request.node

    def judge(observed: object, *, stated: object, mended: object) -> None:
        if observed == stated:
            return
        if observed != mended:
            pytest.fail(f"worse than FACTS.md states: {observed!r}, stated {stated!r}, right {mended!r}")
        node.user_properties.append((MENDED, f"{observed!r} where a stock Darling has {stated!r}"))

    return judge


def _account(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid)


def ordinary_account(config: pytest.Config) -> Account:
    return _account(config.getoption("darling_user") or ORDINARY_USER) if os.geteuid() == 0 else my_account()


def my_account() -> Account:
    return _account(pwd.getpwuid(os.geteuid()).pw_name)


@pytest.fixture(scope="session")
def root() -> Account:
    if os.geteuid() != 0:
        pytest.skip("only root can look into the guest of another user, mount, and call as root")
    return my_account()


@pytest.fixture(scope="session")
def ordinary(request: pytest.FixtureRequest) -> Account:
    return ordinary_account(request.config)


@pytest.fixture(scope="session")
def workshop(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory for everything the suite makes; it is gone afterwards, whatever lay in it."""
    directory = Path(tempfile.mkdtemp(prefix="dbc-", dir=request.config.getoption("darling_dir")))
    directory.chmod(0o755)
    yield directory
    remove(directory)


@pytest.fixture(scope="session")
def new_prefix_for_session(darling: Path, workshop: Path) -> Iterator[NewPrefix]:
    yield from _prefixes(darling, workshop)


@pytest.fixture
def new_prefix(darling: Path, workshop: Path) -> Iterator[NewPrefix]:
    """Makes prefixes, each in a fresh directory of its user, that are down and gone after the test."""
    yield from _prefixes(darling, workshop)


def _prefixes(darling: Path, workshop: Path) -> Iterator[NewPrefix]:
    made: list[Prefix] = []

    def make(account: Account, name: str = "p") -> Prefix:
        directory = Path(tempfile.mkdtemp(dir=workshop))
        directory.chmod(0o755)
        os.chown(directory, account.uid, account.gid)
        made.append(Prefix(darling, account, directory / name))
        return made[-1]

    yield make
    for prefix in made:
        prefix.stop()
    leftovers = {pid for prefix in made for pid in prefix.left_running()}
    for prefix in made:
        remove(prefix.path.parent)
    assert not leftovers


def remove(directory: Path) -> None:
    """Remove a tree, but for the work directories where we are not root: they are root's."""
    shutil.rmtree(directory, ignore_errors=os.geteuid() != 0)
    if directory.exists():
        warnings.warn(pytest.PytestWarning(f"only root can remove what is left of {directory}"), stacklevel=2)
