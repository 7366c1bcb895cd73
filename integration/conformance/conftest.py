"""The options of the suite, its prefixes, and its third verdict beside passed and failed: mended."""

import os
import pwd
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.standin.guestroot import guest_root
from integration.standin.install import install

from .defect import MENDED, Defect
from .launcher import NewPrefix, Prefix
from .processes import Account
from .slow import SlowBoots

# Every machine has this user, nothing else runs as it here, and no account need be made and removed.
ORDINARY_USER = "nobody"

# A directory of a random name is made in it.
PLACE = Path("/var/tmp")  # noqa: S108


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add to the options of integration/conftest.py what this suite alone needs."""
    parser.getgroup("darlingbuilder").addoption(
        "--darling-dir", type=Path, default=PLACE, help="where prefixes are made: no overlay, no NFS (%(default)s)"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    mended = [
        (report.nodeid, text)
        for report in terminalreporter.getreports("passed")
        for name, text in report.user_properties
        if name == MENDED
    ]
    if mended:
        terminalreporter.section("defects that this Darling does not have")
    for nodeid, text in mended:
        terminalreporter.line(f"mended: {nodeid.rpartition('::')[2]}: {text}")


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


def _ordinary(config: pytest.Config) -> Account:
    return _account(config.getoption("darling_user") or ORDINARY_USER) if os.geteuid() == 0 else _myself()


def _myself() -> Account:
    return _account(pwd.getpwuid(os.geteuid()).pw_name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let root and the unprivileged user call, where the suite may become both."""
    if "account" in metafunc.fixturenames:
        accounts = dict.fromkeys((_myself(), _ordinary(metafunc.config)))
        metafunc.parametrize("account", accounts, ids=lambda account: account.name, scope="session")


@pytest.fixture(scope="session")
def root() -> Account:
    if os.geteuid() != 0:
        pytest.skip("only root can look into the guest of another user, mount, and call as root")
    return _myself()


@pytest.fixture(scope="session")
def ordinary(request: pytest.FixtureRequest) -> Account:
    return _ordinary(request.config)


@pytest.fixture(scope="session")
def workshop(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A directory for everything the suite makes; it is gone afterwards, whatever lay in it."""
    # The option is unknown where this file was loaded late, for a run of all of integration/.
    place = request.config.getoption("darling_dir", PLACE)
    directory = Path(tempfile.mkdtemp(prefix="dbc-", dir=place))
    directory.chmod(0o755)
    yield directory
    _remove(directory)


@pytest.fixture(scope="session")
def darling(request: pytest.FixtureRequest, workshop: Path) -> Path:
    given: Path | None = request.config.getoption("darling")
    return given.absolute() if given else install(workshop / "standin", guest_root())


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
        _remove(prefix.path.parent)
    assert not leftovers


def _remove(directory: Path) -> None:
    """Remove a tree, but for the work directories where we are not root: they are root's."""
    shutil.rmtree(directory, ignore_errors=os.geteuid() != 0)
    if directory.exists():
        warnings.warn(pytest.PytestWarning(f"only root can remove what is left of {directory}"), stacklevel=2)


@pytest.fixture(scope="session")
def guests(new_prefix_for_session: NewPrefix) -> Callable[[Account], Prefix]:
    running: dict[Account, Prefix] = {}

    def guest_of(account: Account) -> Prefix:
        if account not in running:
            running[account] = new_prefix_for_session(account)
            running[account].boot()
        return running[account]

    return guest_of


@pytest.fixture
def guest(account: Account, guests: Callable[[Account], Prefix]) -> Prefix:
    """A container that runs, shared by all tests that leave it as it was; of root and of a user in turn."""
    return guests(account)


@pytest.fixture(scope="session")
def slow_boots(new_prefix_for_session: NewPrefix, ordinary: Account) -> Iterator[SlowBoots]:
    """Boots that fail after 15 s: all begin at once, so that the suite waits only once."""
    boots = SlowBoots(new_prefix_for_session, dict.fromkeys((_myself(), ordinary)))
    yield boots
    boots.end()
