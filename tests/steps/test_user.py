"""The service user: made where there is none, left alone where there is one."""

import os
import re
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import BuilderError, ConfigError, ForeignFileError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.user import User
from tests.fakes.world import FakeWorld, fake_world
from tests.names import SYSUSERS

NAME = "darlingbuilder"


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)


@pytest.fixture
def user(world: FakeWorld) -> User:
    return User(Settings(), world)


def test_on_an_empty_machine_the_user_is_absent(user: User) -> None:
    assert user.check() == [Drift("user darlingbuilder", "absent")]


def test_the_user_is_made_from_our_sysusers_file(user: User, world: FakeWorld) -> None:
    # when
    user.apply()
    # then
    assert user.check() == []
    made = world.accounts.entries[NAME]
    assert made.owner.uid != 0
    assert (made.home, made.shell) == ("/var/empty", "/usr/sbin/nologin")


def test_applying_again_changes_nothing(user: User, world: FakeWorld) -> None:
    user.apply()
    before = (world.host.attributes(SYSUSERS), dict(world.accounts.entries))
    user.apply()
    assert (world.host.attributes(SYSUSERS), world.accounts.entries) == before


def test_a_user_that_was_there_before_is_used_and_left_alone(user: User, world: FakeWorld) -> None:
    # given: NixOS declares it
    world.accounts.add(NAME)
    # when
    assert user.check() == []
    user.apply()
    user.revert()
    # then
    assert world.host.attributes(SYSUSERS) is None
    assert world.accounts.find(NAME) is not None


@pytest.mark.parametrize("name", ["root", "toor"])
def test_a_user_who_is_root_is_refused(world: FakeWorld, name: str) -> None:
    # given
    world.accounts.add("toor", uid=0)
    user = User(Settings(user=name), world)
    # then
    assert "uid 0" in user.check()[0].detail
    with pytest.raises(ConfigError, match="owns the host"):
        user.apply()
    assert world.host.attributes(SYSUSERS) is None


def test_a_foreign_sysusers_file_of_that_name_is_refused(user: User, world: FakeWorld) -> None:
    world.host.write(SYSUSERS, b"u somebody -\n")
    with pytest.raises(ForeignFileError, match="was not written by darlingbuilder"):
        user.apply()
    user.revert()
    assert world.host.read(SYSUSERS) == b"u somebody -\n"


def test_an_edited_sysusers_file_of_ours_is_put_right(user: User, world: FakeWorld) -> None:
    # given
    user.apply()
    content = world.host.read(SYSUSERS) or b""
    world.host.write(SYSUSERS, content.replace(b"/var/empty", b"/root"))
    # then
    assert user.check()[0].detail == "differs"
    user.apply()
    assert user.check() == []
    assert world.host.read(SYSUSERS) == content


def test_a_user_of_ours_who_was_deleted_is_made_again(user: User, world: FakeWorld) -> None:
    user.apply()
    world.accounts.delete(NAME)
    assert user.check() == [Drift("user darlingbuilder", "absent")]
    user.apply()
    assert user.check() == []


def test_a_systemd_that_makes_nobody_is_an_error(user: User, world: FakeWorld) -> None:
    world.accounts.broken = True
    with pytest.raises(BuilderError, match="did not make the user darlingbuilder"):
        user.apply()


def test_revert_deletes_the_user_that_is_ours_and_can_be_repeated(user: User, world: FakeWorld) -> None:
    user.apply()
    for _ in range(2):
        user.revert()
        assert world.accounts.find(NAME) is None
        assert world.host.attributes(SYSUSERS) is None
    assert user.check() != []


def test_revert_does_not_delete_a_user_whom_our_file_does_not_name(user: User, world: FakeWorld) -> None:
    # given
    user.apply()
    world.accounts.add("other")
    # when
    User(Settings(user="other"), world).revert()
    # then
    assert world.accounts.find("other") is not None


@pytest.mark.skipif(
    process.find("systemd-sysusers") is None or os.geteuid() != 0, reason="needs systemd-sysusers, and root for it"
)
def test_the_real_systemd_sysusers_understands_our_file(user: User, world: FakeWorld, tmp_path: Path) -> None:
    # given
    user.apply()
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    # when
    process.run("systemd-sysusers", f"--root={root}", tmp_path / SYSUSERS.relative_to("/"))
    # then
    passwd = (root / "etc/passwd").read_text()
    gecos = re.escape(world.accounts.entries[NAME].gecos)
    assert re.search(rf"^{NAME}:x:[1-9]\d*:[1-9]\d*:{gecos}:/var/empty:/\S*nologin$", passwd, re.MULTILINE)
    assert f"{NAME}:" in (root / "etc/group").read_text()
