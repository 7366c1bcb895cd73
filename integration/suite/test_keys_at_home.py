"""Keys in root's home, which the unit's walls hide from serve: replaced under builds, or refused with a remedy."""

import time

import pytest

from integration.suite.site import UNIT, Site
from integration.suite.stream import stream

pytestmark = pytest.mark.alone

KEY = "/root/keys/key"
MINE = "/root/mine"


@pytest.fixture(scope="module")
def at_home(site: Site) -> Site:
    """A builder whose user key lies in root's home, and whose guest is looked at all the time."""
    site.configure(max_jobs=2, key=KEY, health_interval=1)
    site.tool("init")
    site.machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mine", "-f", MINE)
    return site


def running(site: Site) -> str:
    return site.machine.run("systemctl", "show", "--property=MainPID,NRestarts", UNIT).stdout


def seen_by_serve(site: Site, path: str) -> str:
    pid = site.machine.run("systemctl", "show", "--property=MainPID", "--value", UNIT).stdout.strip()
    return site.machine.run("nsenter", "--target", pid, "--mount", "cat", path).stdout


def test_a_key_in_a_home_is_replaced_with_no_build_that_fails(at_home: Site) -> None:
    # given
    before, service = at_home.file(KEY).read_text(), running(at_home)
    # when
    with stream(at_home, "at-home"):
        assert at_home.tool("keys", "rotate", "--user", "--quiet", timeout=300).stdout == ""
        # Time for a look at the guest by the new key, now that it lets in nobody by the old one.
        time.sleep(4)
    # then
    assert before != at_home.file(KEY).read_text() == seen_by_serve(at_home, KEY)
    assert running(at_home) == service
    assert "a session in the guest has failed" not in at_home.machine.journal(UNIT)
    at_home.assert_healthy()


def test_of_the_home_nothing_else_is_shown(at_home: Site) -> None:
    pid = at_home.machine.run("systemctl", "show", "--property=MainPID", "--value", UNIT).stdout.strip()
    assert at_home.machine.run("nsenter", "--target", pid, "--mount", "ls", "-A", "/root").stdout == "keys\n"


def test_a_key_that_serve_would_not_see_is_brought_in_as_a_copy_alone(at_home: Site) -> None:
    # when
    refused = at_home.tool("keys", "import", "--user", MINE, check=False)
    # then
    assert refused.rc == 1
    assert "does not see" in refused.stderr
    assert f"{KEY}.next" not in at_home.machine.run("find", "/root/keys").stdout
    # when
    at_home.tool("keys", "import", "--user", MINE, "--copy")
    # then
    assert at_home.file(KEY).read_text() == at_home.file(MINE).read_text() == seen_by_serve(at_home, KEY)
    at_home.assert_healthy()


def test_a_link_to_where_serve_does_not_see_is_told_with_what_mends_it(at_home: Site) -> None:
    # given
    at_home.machine.run("ln", "-sf", MINE, KEY)
    # when
    refused = at_home.tool("init", check=False)
    # then
    assert refused.rc == 1
    remedy = f"cp --preserve=mode --remove-destination {MINE} {KEY}"
    assert remedy in refused.stderr
    # when
    at_home.machine.run(*remedy.split())
    at_home.tool("init")
    # then
    at_home.assert_healthy()
