"""What the first call on a prefix makes, and where it refuses."""

import os
import pwd

import pytest

from .defect import Defect
from .launcher import NewPrefix, Prefix
from .processes import Account
from .slow import EMPTY_DIRECTORY, LONG_PATH, LONGEST, REFUSED, SlowBoots, of_length

FIRST_BOOT_SECONDS = 30
COLD_BOOT_SECONDS = 20

# While these run the suite does nothing else: they are the ones that take 15 s.
CANNOT_CONNECT = "Error connecting to shellspawn"


def test_a_missing_prefix_is_created_by_the_first_call(guest: Prefix) -> None:
    for directory in ("private/etc", "private/var", "var/run", "var/tmp", "Users", "Volumes", "usr/local"):
        assert (guest.path / directory).is_dir()
        assert (guest.path / directory).stat().st_uid == guest.account.uid


@pytest.mark.parametrize("name", ["passwd", "master.passwd", "group"])
def test_a_new_prefix_knows_its_user(guest: Prefix, name: str) -> None:
    file = guest.path / "private/etc" / name
    assert guest.account.name in file.read_text()
    assert file.stat().st_uid == guest.account.uid


def test_the_user_of_a_new_prefix_has_bash_and_a_home_below_users(guest: Prefix) -> None:
    user = guest.account
    lines = (guest.path / "private/etc/passwd").read_text().splitlines()
    wanted = f"{user.name}:*:{user.uid}:{pwd.getpwuid(user.uid).pw_gid}:"
    assert any(line.startswith(wanted) and line.endswith(f":/Users/{user.name}:/bin/bash") for line in lines)
    assert (guest.path / "Users" / user.name).is_dir()


def test_the_work_directory_lies_beside_the_prefix_and_belongs_to_root(guest: Prefix) -> None:
    work = guest.path.with_name(f"{guest.path.name}.workdir")
    assert work.stat().st_uid == 0
    assert work.stat().st_dev == guest.path.stat().st_dev


def test_roots_home_in_passwd_does_not_exist(guest: Prefix) -> None:
    assert "root:*:0:0:System Administrator:/var/root:" in guest.shell("cat", "/etc/passwd").text
    assert guest.script("test -d /var && ! test -L /var && ! test -e /var/root && test -d /private/var/root").rc == 0


def test_a_directory_that_exists_is_not_set_up(account: Account, slow_boots: SlowBoots, defect: Defect) -> None:
    outcome = slow_boots.outcome(EMPTY_DIRECTORY, account)
    prefix = slow_boots.prefixes[EMPTY_DIRECTORY, account]
    has_passwd = (prefix.path / "private/etc/passwd").exists()
    observed = (outcome.rc != 0, CANNOT_CONNECT in outcome.said, has_passwd, prefix.server() > 0)
    defect(observed, stated=(True, True, False, True), mended=(False, False, True, True))


@pytest.mark.parametrize("character", REFUSED)
def test_a_path_with_this_character_is_refused(
    account: Account, character: str, slow_boots: SlowBoots, defect: Defect
) -> None:
    defect(slow_boots.outcome(character, account).rc != 0, stated=True, mended=False)


def test_a_path_of_80_bytes_is_too_long(account: Account, slow_boots: SlowBoots, defect: Defect) -> None:
    defect(slow_boots.outcome(LONG_PATH, account).rc != 0, stated=True, mended=False)


def test_a_path_of_78_bytes_works(account: Account, new_prefix: NewPrefix) -> None:
    of_length(new_prefix(account), LONGEST).boot()


def test_a_prefix_of_someone_else_is_refused(root: Account, ordinary: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(ordinary)
    prefix.path.mkdir()
    os.chown(prefix.path, root.uid, root.gid)
    outcome = prefix.call("shell", "true")
    assert outcome.rc == 1
    assert "do not own" in outcome.said
    assert not prefix.server()


def test_a_parent_that_the_user_cannot_write_is_refused(
    root: Account, ordinary: Account, new_prefix: NewPrefix
) -> None:
    prefix = new_prefix(ordinary)
    os.chown(prefix.path.parent, root.uid, root.gid)
    assert prefix.call("shell", "true").rc != 0
    assert not prefix.path.exists()


def test_the_first_boot_and_a_cold_boot_are_bounded(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    assert prefix.boot().seconds < FIRST_BOOT_SECONDS
    prefix.stop()
    assert prefix.boot().seconds < COLD_BOOT_SECONDS
