"""The real Darling that the suite is run on: without one it skips, and on the stand-in it refuses to run."""

import shutil
from pathlib import Path

import pytest

import darlingbuilder
from integration.conformance.fixtures import defect, new_prefix_for_session, ordinary, root, workshop
from integration.conformance.launcher import NewPrefix, Prefix
from integration.conformance.processes import Account

from .compiler import darwin_programs
from .guest import SHIM, Guest

__all__ = ["defect", "new_prefix_for_session", "ordinary", "root", "workshop"]

BUILT_SHIM = Path(darlingbuilder.__file__).with_name("guest") / "compat.dylib"

HOST_ROOT = "/Volumes/SystemRoot"
ELF = b"\x7fELF"


@pytest.fixture(scope="session")
def darling(request: pytest.FixtureRequest) -> Path:
    given: Path | None = request.config.getoption("darling")
    if given is None:
        pytest.skip("needs a real Darling: --darling PATH")
    return given.absolute()


@pytest.fixture(scope="session")
def programs(workshop: Path) -> str:
    """The suite's programs, by a path of the guest's that its user can read: the cache of their maker is private."""
    directory = workshop / "programs"
    shutil.copytree(darwin_programs(), directory)
    directory.chmod(0o755)
    return f"{HOST_ROOT}{directory}"


@pytest.fixture(scope="session")
def plain_guest(new_prefix_for_session: NewPrefix, ordinary: Account, programs: str) -> Guest:
    """A container that can run the suite's programs and has no shim yet."""
    prefix = new_prefix_for_session(ordinary)
    prefix.boot()
    _refuse_the_stand_in(prefix)
    guest = Guest(prefix, programs)
    outcome = guest.run('"$PROGRAMS/hello"')
    if outcome.text != "hello\n":
        pytest.fail(f"this Darling cannot run a small Mach-O program of zig's: {outcome}")
    return guest


def _refuse_the_stand_in(prefix: Prefix) -> None:
    """Skip where the guest's own programs are Linux programs; a Darling's are Mach-O, and ours must run there."""
    magic = prefix.shell("head", "-c", "4", "/bin/bash").out
    if magic == ELF:
        pytest.skip(f"{prefix.darling} is not a real Darling but the stand-in: its /bin/bash is an ELF program")


@pytest.fixture(scope="session")
def shim(request: pytest.FixtureRequest) -> Path:
    """The shim under test, on the host."""
    path: Path = request.config.getoption("shim") or BUILT_SHIM
    if not path.is_file():
        pytest.fail(f"there is no {path}: build the shim first, or name one with --shim")
    return path


@pytest.fixture(scope="session")
def guest(plain_guest: Guest, shim: Path) -> Guest:
    """The same container with the shim in its place; it is preloaded by those who ask for it."""
    plain_guest.prefix.write(SHIM, shim.read_bytes())
    return plain_guest
