"""Containers of the stand-in, as a stock Darling and as a mended one."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration.conformance.launcher import Prefix
from integration.conformance.processes import Account

from .compiler import compile_program
from .guestroot import guest_root
from .install import install

# Every machine has this user, and nothing else runs as it here.
USER = "nobody"
PLACE = "/var/tmp"  # noqa: S108 - a directory of a random name is made in it

PROBE = "/private/tmp/nix-probe"
LINK, FILE = "/nix/store/a-link", "/nix/store/a-file"


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can install the stand-in's launcher")


@contextmanager
def container(*, mended: bool) -> Iterator[Prefix]:
    """Run a container with the probe and something like a store in it."""
    entry = pwd.getpwnam(USER)
    with tempfile.TemporaryDirectory(prefix="dbs-", dir=PLACE) as made:
        workshop = Path(made)
        workshop.chmod(0o755)
        (workshop / "home").mkdir()
        os.chown(workshop / "home", entry.pw_uid, entry.pw_gid)
        launcher = install(workshop / "standin", guest_root(), mended=mended)
        prefix = Prefix(launcher, Account(USER, entry.pw_uid, entry.pw_gid), workshop / "home/p")
        prefix.boot()
        try:
            prefix.write(PROBE, compile_program(workshop / "probe", "probe.c").read_bytes())
            prefix.script(f"chmod 755 {PROBE}; mkdir -p /nix/store; ln -s nowhere {LINK}; touch {FILE}")
            yield prefix
        finally:
            prefix.stop()
            assert not prefix.left_running()


@pytest.fixture(scope="module")
def guest() -> Iterator[Prefix]:
    """A container of a Darling that has every defect."""
    with container(mended=False) as prefix:
        yield prefix


@pytest.fixture(scope="module")
def mended() -> Iterator[Prefix]:
    """A container of a Darling that has been repaired."""
    with container(mended=True) as prefix:
        yield prefix
