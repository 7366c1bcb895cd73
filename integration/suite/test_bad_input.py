"""Bad input of every kind gives one clear error with a remedy and the documented exit code, and does no harm."""

import os

import pytest

from integration.suite.badinput import builder as on_a_builder
from integration.suite.badinput import fresh
from integration.suite.badinput.case import KEY, Bad
from integration.suite.site import STATE, UNIT, Site

OURS = (
    STATE, KEY, f"/etc/systemd/system/{UNIT}", "/etc/ssh/ssh_config.d/darling-builder.conf",
    "/etc/nix/darling-builder.machines", "/etc/sysusers.d/darlingbuilder.conf",
)  # fmt: skip


@pytest.mark.parametrize("bad", fresh.TABLE, ids=str)
def test_on_a_fresh_machine_it_leaves_nothing(site: Site, bad: Bad) -> None:
    with bad.broken(site):
        bad.assert_one_error(bad.call(site))
    assert [path for path in OURS if os.path.lexists(site.file(path))] == []


@pytest.fixture(scope="module")
def first_run(builder: Site) -> str:
    """What the service is before anything goes wrong."""
    builder.assert_healthy()
    return running(builder)


@pytest.mark.parametrize("bad", on_a_builder.TABLE, ids=str)
def test_a_builder_survives_it(builder: Site, first_run: str, bad: Bad) -> None:
    with bad.broken(builder):
        bad.assert_one_error(bad.call(builder))
    again = builder.tool("init", check=False, timeout=20)
    assert again.rc == 0, again.stderr
    assert running(builder) == first_run


def test_after_all_of_it_the_builder_builds(builder: Site, first_run: str) -> None:
    builder.assert_healthy()
    assert running(builder) == first_run


def running(site: Site) -> str:
    return site.machine.run("systemctl", "show", "--property=MainPID,ActiveState,NRestarts", UNIT).stdout
