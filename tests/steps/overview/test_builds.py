"""The builds that run, from what the guest's Nix holds open."""

import time
from pathlib import Path

import pytest

from darlingbuilder.steps.overview import builds
from tests.fakes.accounts import FakeAccounts
from tests.fakes.ledger import LedgerTree
from tests.fakes.sessions import BusyDarling, session

HASH = "0c1iq0nzvhjr4hk4hz1m5dqh0y9gs6ga"
LOG = f"nix/var/log/nix/drvs/{HASH[:2]}/{HASH[2:]}-hello-2.12.drv.bz2"
LOCK = f"nix/store/{HASH}-hello-2.12.lock"


@pytest.fixture
def darling(tmp_path: Path) -> BusyDarling:
    return BusyDarling(tmp_path / "prefix", "nobody", FakeAccounts(LedgerTree(tmp_path)))


def test_a_build_is_named_by_the_log_that_is_written_and_as_old_as_its_builder(
    darling: BusyDarling, tmp_path: Path
) -> None:
    with session("nix-daemon", [tmp_path / LOG, tmp_path / LOCK]) as pid:
        darling.pids = [pid]
        (build,) = builds.running(darling)

    assert build.pid == pid
    assert build.derivation == f"/nix/store/{HASH}-hello-2.12.drv"
    assert build.outputs == [f"/nix/store/{HASH}-hello-2.12"]
    assert build.since is not None
    assert -1 < time.time() - build.since < 30


def test_one_that_came_by_ssh_is_named_by_its_output(darling: BusyDarling, tmp_path: Path) -> None:
    with session("nix-store", [tmp_path / LOCK]) as pid:
        darling.pids = [pid]
        (build,) = builds.running(darling)

    assert (build.derivation, build.outputs) == (None, [f"/nix/store/{HASH}-hello-2.12"])


def test_a_session_that_holds_nothing_of_the_sort_builds_nothing_yet(darling: BusyDarling, tmp_path: Path) -> None:
    with session("nix-daemon", [tmp_path / "db.sqlite"], building=False) as pid:
        darling.pids = [pid]
        (build,) = builds.running(darling)

    assert (build.derivation, build.outputs) == (None, [])
    assert build.since is not None


@pytest.mark.parametrize(
    "name", [f"nix/store/{HASH}-\x1b[31mred.lock", "nix/store/short.lock", f"nix/var/log/nix/drvs/../{HASH}.drv"]
)
def test_a_name_that_no_store_path_has_is_not_believed(darling: BusyDarling, tmp_path: Path, name: str) -> None:
    (tmp_path / "nix/var/log/nix/drvs").mkdir(parents=True)
    with session("nix-daemon", [tmp_path / name]) as pid:
        darling.pids = [pid]
        (build,) = builds.running(darling)

    assert (build.derivation, build.outputs) == (None, [])


def test_another_process_of_the_guest_is_no_build(darling: BusyDarling, tmp_path: Path) -> None:
    with session("sshd", [tmp_path / LOG]) as pid:
        darling.pids = [pid]
        assert builds.running(darling) == []
