"""What every Darling does: the fake and, on a machine that may be changed, the launcher that is installed."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.adapters.accounts import Accounts, SystemAccounts
from darlingbuilder.adapters.darling import Darling, Launcher
from darlingbuilder.adapters.namespaces import Layers
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.errors import BuilderError, DarlingError, PrerequisiteError
from darlingbuilder.core.paths import PASSWD
from darlingbuilder.core.tree import Tree
from tests.fakes.accounts import FakeAccounts
from tests.fakes.darling import FakeDarling
from tests.fakes.ledger import LedgerTree
from tests.real import MAY_BE_CHANGED

USER = "contract-guest"
PLACE = Path("/var/lib/contract")
PID_FILE = Path("/.init.pid")
TARGET = Path("/nix")


@dataclass
class Ground:
    """A Darling whose prefix is still to be made, in a directory of its user's."""

    darling: Darling
    account: Account
    prefix: Path
    without_launcher: Darling
    without_user: Darling

    def boot(self) -> None:
        with (self.prefix.parent.parent / "log").open("ab") as log:
            self.darling.boot(log)


def fake(directory: Path) -> Ground:
    host = LedgerTree(directory)
    accounts = FakeAccounts(host)
    account = accounts.add(USER)
    prefix = _place(directory / "contract", account)
    return Ground(
        darling=FakeDarling(prefix, USER, accounts),
        account=account,
        prefix=prefix,
        without_launcher=FakeDarling(prefix, USER, accounts, installed=False),
        without_user=FakeDarling(prefix, "nobody-there", accounts),
    )


def real(_directory: Path) -> Ground:
    accounts = SystemAccounts()
    if accounts.find(USER) is None:
        process.run("useradd", "--system", "--no-create-home", USER)
    account = accounts.find(USER)
    assert account is not None
    prefix = _place(PLACE, account)
    return Ground(
        darling=_launcher(prefix, USER, accounts),
        account=account,
        prefix=prefix,
        without_launcher=_launcher(prefix, USER, accounts, program="/nowhere/darling"),
        without_user=_launcher(prefix, "nobody-there", accounts),
    )


def _place(place: Path, account: Account) -> Path:
    parent = place / "guest"
    parent.mkdir(parents=True)
    os.chown(parent, account.owner.uid, account.owner.gid)
    return parent / "prefix"


def _launcher(prefix: Path, user: str, accounts: Accounts, *, program: str = "") -> Launcher:
    return Launcher(prefix, user, accounts, program, boot_timeout=5)


@pytest.fixture(params=[fake, *([real] if MAY_BE_CHANGED else [])], ids=lambda make: make.__name__)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    made: Ground = request.param(tmp_path)
    yield made
    made.darling.shutdown()
    Tree(Path("/")).remove(made.prefix.parent.parent)


@pytest.fixture
def darling(ground: Ground) -> Darling:
    """Give a Darling whose container is up."""
    ground.boot()
    return ground.darling


def test_there_is_a_launcher(ground: Ground) -> None:
    assert ground.darling.launcher().name == "darling"


def test_before_the_first_boot_there_is_nothing(ground: Ground) -> None:
    assert ground.darling.server() is None
    assert ground.darling.processes() == []
    assert not ground.darling.is_mounted(TARGET)
    ground.darling.shutdown()
    assert not ground.prefix.exists()


def test_a_first_boot_sets_a_prefix_up_for_its_user(ground: Ground, darling: Darling) -> None:
    passwd = (darling.files().read(PASSWD) or b"").decode()
    owner = ground.account.owner

    assert any(line.startswith(f"{USER}:") and f":{owner.uid}:{owner.gid}:" in line for line in passwd.splitlines())
    for path in (PASSWD, PASSWD.parent):
        assert (found := darling.files().attributes(path)) is not None
        assert found.owner == owner
    assert (darling.files().read(PID_FILE) or b"").strip().decode() == str(darling.server())


def test_what_runs_in_a_container_is_listed(darling: Darling) -> None:
    server = darling.server()
    assert server is not None
    assert server in {found.pid for found in darling.processes()}


def test_after_a_shutdown_nothing_runs_and_no_pid_is_left(ground: Ground, darling: Darling) -> None:
    for _ in range(2):
        darling.shutdown()
        assert darling.server() is None
        assert darling.processes() == []
        assert darling.files().read(PID_FILE) is None
    assert ground.prefix.is_dir()


def test_a_second_boot_keeps_the_prefix_but_what_is_volatile(ground: Ground, darling: Darling) -> None:
    owner = ground.account.owner
    for path in ("/private/kept", "/var/run/lost", "/var/tmp/lost"):  # noqa: S108 - the guest's
        darling.files().write(Path(path), b"x", owner=owner)
    darling.shutdown()

    ground.boot()

    assert darling.files().read(Path("/private/kept")) == b"x"
    assert darling.files().read(Path("/var/run/lost")) is None
    assert darling.files().read(Path("/var/tmp/lost")) is None  # noqa: S108 - as above


def test_files_are_the_same_whether_the_container_is_up_or_down(ground: Ground, darling: Darling) -> None:
    darling.files().write(Path("/private/up"), b"x", owner=ground.account.owner)
    darling.shutdown()
    darling.files().write(Path("/private/down"), b"y", owner=ground.account.owner)
    ground.boot()
    assert (darling.files().read(Path("/private/up")), darling.files().read(Path("/private/down"))) == (b"x", b"y")


def test_a_directory_that_is_no_prefix_does_not_boot_and_leaves_nothing_running(ground: Ground) -> None:
    ground.prefix.mkdir()
    os.chown(ground.prefix, ground.account.owner.uid, ground.account.owner.gid)

    with pytest.raises(DarlingError, match="did not boot"):
        ground.boot()

    assert ground.darling.server() is None
    assert ground.darling.processes() == []
    assert ground.prefix.is_dir()


def test_a_prefix_below_nothing_does_not_boot(ground: Ground) -> None:
    ground.prefix.parent.rmdir()
    with pytest.raises(DarlingError, match=str(ground.prefix)):
        ground.boot()
    assert not ground.prefix.exists()


def test_the_launcher_tells_its_version_and_boots_nothing(ground: Ground) -> None:
    said = ground.darling.version(timeout=20)

    assert (said.code, "@" in said.stdout + said.stderr) == (0, True)
    assert ground.darling.server() is None


def test_the_same_launcher_boots_another_prefix_and_leaves_this_one_alone(ground: Ground) -> None:
    other = ground.darling.at(ground.prefix.with_name("other"), user=ground.account.name, boot_timeout=5)

    with (ground.prefix.parent.parent / "log").open("ab") as log:
        other.boot(log)

    try:
        assert other.server() is not None
        assert other.run("echo", "there", timeout=20).stdout == "there\n"
        assert ground.darling.server() is None
        assert not ground.prefix.exists()
    finally:
        other.shutdown()
    assert other.processes() == []


def test_without_a_launcher_nothing_boots(ground: Ground) -> None:
    with pytest.raises(PrerequisiteError, match="no launcher there"):
        ground.without_launcher.launcher()
    with (ground.prefix.parent / "log").open("wb") as log, pytest.raises(PrerequisiteError, match="no launcher"):
        ground.without_launcher.boot(log)
    assert not ground.prefix.exists()


def test_without_its_user_nothing_boots(ground: Ground) -> None:
    with (ground.prefix.parent / "log").open("wb") as log, pytest.raises(PrerequisiteError, match="no user"):
        ground.without_user.boot(log)
    assert not ground.prefix.exists()


def test_a_command_gives_its_status_and_what_it_says(darling: Darling) -> None:
    assert darling.run("true", timeout=20).code == 0
    assert darling.run("false", timeout=20).code == 1
    said = darling.run("echo", "two  blanks", "$HOME", timeout=20)
    assert (said.code, said.stdout) == (0, "two  blanks $HOME\n")
    assert darling.run("uname", "-s", timeout=20).stdout == "Darwin\n"


def test_a_command_that_is_not_there_gives_127(darling: Darling) -> None:
    completed = darling.run("no-such-command", timeout=20)
    assert completed.code == 127
    assert "not found" in completed.stdout + completed.stderr


def test_a_started_program_runs_until_the_container_ends(ground: Ground, darling: Darling) -> None:
    before = {found.pid for found in darling.processes()}
    with (ground.prefix.parent.parent / "log").open("ab") as log:
        running = darling.start("sleep", "600", log=log)
    assert _until(lambda: bool({found.pid for found in darling.processes()} - before))
    assert running.poll() is None

    darling.shutdown()

    assert _until(lambda: running.poll() is not None)


def test_a_started_program_that_ends_has_a_status_and_its_words_are_in_the_log(
    ground: Ground, darling: Darling
) -> None:
    file = ground.prefix.parent.parent / "said"
    with file.open("wb") as log:
        running = darling.start("echo", "said", log=log)
        assert _until(lambda: running.poll() is not None)
    assert running.wait() == 0
    assert file.read_text() == "said\n"


def test_a_mount_lasts_as_long_as_the_container(ground: Ground, darling: Darling) -> None:
    source = ground.prefix.parent / "source"
    source.mkdir()
    darling.files().make_directory(TARGET, owner=ground.account.owner)
    assert not darling.is_mounted(TARGET)

    darling.mount(source, TARGET)

    assert darling.is_mounted(TARGET)
    darling.shutdown()
    assert not darling.is_mounted(TARGET)
    ground.boot()
    assert not darling.is_mounted(TARGET)


def test_what_is_mounted_is_seen_in_the_guests_files(ground: Ground, darling: Darling) -> None:
    source = ground.prefix.parent / "source"
    source.mkdir()
    (source / "file").write_text("of the host")
    darling.files().make_directory(TARGET, owner=ground.account.owner)

    darling.mount(source, TARGET)

    assert darling.files().read(TARGET / "file") == b"of the host"
    darling.shutdown()
    assert darling.files().read(TARGET / "file") is None


@pytest.mark.parametrize("missing", ["source", "target"])
def test_nothing_can_be_mounted_from_or_on_what_is_not_there(ground: Ground, darling: Darling, missing: str) -> None:
    source = ground.prefix.parent / "source"
    if missing == "target":
        source.mkdir()
    else:
        darling.files().make_directory(TARGET, owner=ground.account.owner)
    with pytest.raises(BuilderError, match=r"mount point does not exist|special device|No such file"):
        darling.mount(source, TARGET)
    assert not darling.is_mounted(TARGET)


def test_nothing_can_be_mounted_while_the_container_is_down(ground: Ground, darling: Darling) -> None:
    darling.shutdown()
    with pytest.raises(DarlingError, match="is down"):
        darling.mount(ground.prefix.parent, TARGET)


@pytest.fixture
def layers(ground: Ground) -> Layers:
    """A store of root's, and an upper layer of the guest's user's with a comma and a colon in its path."""
    beside = ground.prefix.parent.parent / "a,b:c"
    made = Layers(ground.prefix.parent.parent / "lower", beside / "upper", beside / "work", ground.account.owner)
    for directory in (made.lower, made.upper, made.work):
        directory.mkdir(parents=True)
    os.chown(made.upper, ground.account.owner.uid, ground.account.owner.gid)
    (made.lower / "file").write_text("of the host")
    (made.lower / "lock").touch(mode=0o600)
    return made


@pytest.fixture
def merged(ground: Ground, darling: Darling, layers: Layers) -> Tree:
    """The guest's files with the overlay on the target."""
    darling.files().make_directory(TARGET, owner=ground.account.owner)
    darling.mount_overlay(layers, TARGET)
    return darling.files()


def test_an_overlay_shows_both_layers_and_lasts_as_long_as_the_container(
    darling: Darling, layers: Layers, merged: Tree
) -> None:
    (layers.upper / "own").write_text("of the guest")

    assert darling.is_mounted(TARGET)
    assert merged.names(TARGET) == ["file", "lock", "own"]
    assert [merged.read(TARGET / name) for name in ("file", "own")] == [b"of the host", b"of the guest"]
    darling.shutdown()
    assert not darling.is_mounted(TARGET)
    assert darling.files().names(TARGET) == []


def test_what_is_opened_for_writing_in_an_overlay_is_another_file_than_the_hosts(
    layers: Layers, merged: Tree
) -> None:
    with merged.opened(TARGET / "lock") as descriptor, merged.opened(TARGET / "new") as other:
        os.write(descriptor, b"held")
        os.write(other, b"new")

    assert ((layers.lower / "lock").read_bytes(), (layers.upper / "lock").read_bytes()) == (b"", b"held")
    assert sorted(path.name for path in layers.lower.iterdir()) == ["file", "lock"]
    assert (layers.upper / "new").read_bytes() == b"new"


def test_a_file_of_the_upper_layer_is_removed_and_shows_nothing_below(layers: Layers, merged: Tree) -> None:
    with merged.opened(TARGET / "lock"):
        (layers.lower / "lock").unlink()

    merged.remove(TARGET / "lock")

    assert merged.names(TARGET) == ["file"]
    assert list(layers.upper.iterdir()) == [], "no whiteout is needed where there is nothing to hide"


def test_after_a_refresh_what_was_looked_up_in_vain_is_there(darling: Darling, layers: Layers, merged: Tree) -> None:
    assert merged.attributes(TARGET / "late") is None
    (layers.lower / "late").write_text("late")

    darling.refresh(TARGET)

    assert merged.read(TARGET / "late") == b"late"


@pytest.mark.parametrize("missing", ["lower", "upper", "work"])
def test_an_overlay_without_one_of_its_layers_is_not_mounted(
    ground: Ground, darling: Darling, layers: Layers, missing: str
) -> None:
    darling.files().make_directory(TARGET, owner=ground.account.owner)
    lost: Path = getattr(layers, missing)
    lost.rename(lost.with_name("elsewhere"))

    with pytest.raises(DarlingError, match="No such file or directory"):
        darling.mount_overlay(layers, TARGET)

    assert not darling.is_mounted(TARGET)


def test_what_is_not_mounted_cannot_be_refreshed(ground: Ground, darling: Darling) -> None:
    darling.files().make_directory(TARGET, owner=ground.account.owner)
    with pytest.raises(DarlingError, match="Invalid argument"):
        darling.refresh(TARGET)
    darling.shutdown()
    with pytest.raises(DarlingError, match="is down"):
        darling.refresh(TARGET)


def _until(condition: object, seconds: float = 10) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
