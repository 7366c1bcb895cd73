"""The launcher that the suite is run on, and its containers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.standin.guestroot import guest_root
from integration.standin.install import install

from .fixtures import (
    defect,
    my_account,
    new_prefix,
    new_prefix_for_session,
    ordinary,
    ordinary_account,
    root,
    workshop,
)
from .launcher import NewPrefix, Prefix
from .processes import Account
from .slow import SlowBoots

__all__ = ["defect", "new_prefix", "new_prefix_for_session", "ordinary", "root", "workshop"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let root and the unprivileged user call, where the suite may become both."""
    if "account" in metafunc.fixturenames:
        accounts = dict.fromkeys((my_account(), ordinary_account(metafunc.config)))
        metafunc.parametrize("account", accounts, ids=lambda account: account.name, scope="session")


@pytest.fixture(scope="session")
def darling(request: pytest.FixtureRequest, workshop: Path) -> Path:
    given: Path | None = request.config.getoption("darling")
    return given.absolute() if given else install(workshop / "standin", guest_root())


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
    boots = SlowBoots(new_prefix_for_session, dict.fromkeys((my_account(), ordinary)))
    yield boots
    boots.end()
