"""What every Accounts does: the fake and, on a machine that may be changed, the real one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from darlingbuilder.adapters.accounts import Accounts, SystemAccounts
from darlingbuilder.core.errors import CommandError
from darlingbuilder.core.tree import ROOT, Tree
from tests.fakes.accounts import FakeAccounts
from tests.fakes.ledger import LedgerTree
from tests.real import MAY_BE_CHANGED

NAME = "contract"
FILE = Path("/etc/sysusers.d/contract.conf")
USER = f'# a comment\n\nu {NAME} - "The contract\'s user" /var/empty\n'


@dataclass(frozen=True)
class Ground:
    """Accounts, and the host whose sysusers.d files they are made from."""

    host: Tree
    accounts: Accounts

    def create(self, text: str) -> None:
        self.host.write(FILE, text.encode())
        self.accounts.create(FILE)


def fake(directory: Path) -> Ground:
    host = LedgerTree(directory)
    return Ground(host, FakeAccounts(host))


def real(_directory: Path) -> Ground:
    return Ground(Tree(Path("/")), SystemAccounts())


@pytest.fixture(params=[fake, *([real] if MAY_BE_CHANGED else [])], ids=lambda make: make.__name__)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    made: Ground = request.param(tmp_path)
    yield made
    made.accounts.delete(NAME)
    made.host.remove(FILE)


def test_root_is_root(ground: Ground) -> None:
    found = ground.accounts.find("root")
    assert found is not None
    assert (found.name, found.owner) == ("root", ROOT)


def test_nobody_of_that_name_is_none(ground: Ground) -> None:
    assert ground.accounts.find(NAME) is None


def test_a_described_user_is_made_with_a_number_of_its_own(ground: Ground) -> None:
    ground.create(USER)

    found = ground.accounts.find(NAME)
    assert found is not None
    assert found.name == NAME
    assert found.owner.uid != 0


def test_a_number_that_is_asked_for_is_given(ground: Ground) -> None:
    ground.create(f"u {NAME} 4321\n")

    found = ground.accounts.find(NAME)
    assert found is not None
    assert (found.owner.uid, found.owner.gid) == (4321, 4321)


def test_a_user_who_is_there_stays_as_it_is(ground: Ground) -> None:
    ground.create(USER)
    before = ground.accounts.find(NAME)

    ground.create(f"u {NAME} 4321\n")

    assert ground.accounts.find(NAME) == before


def test_a_deleted_user_is_gone_and_can_be_deleted_again(ground: Ground) -> None:
    ground.create(USER)
    for _ in range(2):
        ground.accounts.delete(NAME)
        assert ground.accounts.find(NAME) is None


def test_a_deleted_user_can_be_made_again(ground: Ground) -> None:
    ground.create(f"u {NAME} 4321\n")
    ground.accounts.delete(NAME)

    ground.create(f"u {NAME} 4322\n")

    found = ground.accounts.find(NAME)
    assert found is not None
    assert (found.owner.uid, found.owner.gid) == (4322, 4322)


def test_a_file_that_describes_nobody_makes_nobody(ground: Ground) -> None:
    ground.create("# nobody\n")
    assert ground.accounts.find(NAME) is None


def test_a_file_that_is_not_there_is_an_error(ground: Ground) -> None:
    with pytest.raises(CommandError, match=r"contract\.conf"):
        ground.accounts.create(FILE)


@pytest.mark.parametrize("line", [f"x {NAME} -", f"u {NAME} - - var/empty", f"u {NAME} many", f"u {NAME}!? -"])
def test_a_line_that_is_none_is_an_error_and_makes_nobody(ground: Ground, line: str) -> None:
    with pytest.raises(CommandError, match=r"contract\.conf"):
        ground.create(f"{line}\n")
    assert ground.accounts.find(NAME) is None


def test_what_is_done_as_a_user_gives_an_answer_and_changes_nothing_here(ground: Ground) -> None:
    ground.create(USER)
    account = ground.accounts.find(NAME)
    assert account is not None
    here: list[str] = []

    def told() -> str:
        here.append("changed")
        return "done"

    assert ground.accounts.perform(account, told, str, seconds=10) == "done"
    assert here == []
