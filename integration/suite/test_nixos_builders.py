"""Several builders brought by NixOS: one that runs, and one that the first connection starts."""

from dataclasses import dataclass, replace

import pytest

from integration.suite.sharing import until
from integration.suite.site import CONFIG, STATE, TARBALL, UNIT, Site
from integration.suite.switched import switch

NAME = "second"
SOCKET = "darling-builder.socket"
INIT = "darling-builder-init.service"
# What can be fetched only later.
LATE = "/srv/late-nix.tar.xz"
# Only the builder with that feature is asked.
BUILD = """
derivation {
  name = "on-%s"; system = "x86_64-darwin"; builder = "/bin/sh"; requiredSystemFeatures = [ "%s" ];
  args = [ "-c" "echo built > $out" ];
}
"""


@dataclass(frozen=True, slots=True)
class Builders:
    """The two builders of a machine: the one without a name waits for a connection, the second one runs."""

    waiting: Site
    second: Site


@pytest.fixture(scope="module")
def builders(site: Site) -> Builders:
    """A machine that was switched to both."""
    nix = f'nix = {{ tarball = "{TARBALL}"; sha256 = "{site.tarball.sha256}"; }};'
    switch(
        site,
        f"""
        onDemand = true; supportedFeatures = [ "first" ];
        instances.{NAME} = {{
          maxJobs = 2; shareStore = false; supportedFeatures = [ "{NAME}" ]; limits.grace = 5;
          settings = {{ {nix} metrics_textfile = "/srv/{NAME}.prom"; }};
        }};
        """,
    )
    return Builders(site, replace(site, instance=NAME, settings={}))


def activity(site: Site, unit: str) -> str:
    return site.machine.run("systemctl", "is-active", unit, check=False).stdout.strip()


def test_the_second_is_started_and_is_as_it_should_be(builders: Builders) -> None:
    builders.second.assert_healthy()

    assert builders.second.status()[1]["unit"] == "darling-builder@second.service"
    [output] = builders.second.build(BUILD % (NAME, NAME)).stdout.split()
    assert builders.second.file(output).read_text() == "built\n"


def test_the_one_on_demand_is_down_until_a_build_is_the_first_to_connect(builders: Builders) -> None:
    waiting = builders.waiting
    assert (activity(waiting, UNIT), activity(waiting, SOCKET)) == ("inactive", "active")
    assert waiting.machine.run("pgrep", "-u", "darlingbuilder", check=False).stdout == ""
    assert waiting.file(f"{STATE}/machines").exists()
    assert (waiting.status()[0], waiting.status()[1]["waiting"]) == (0, True)

    built = waiting.build(BUILD % ("first", "first"))

    assert "on 'ssh-ng://darling-builder'" in built.stderr
    assert activity(waiting, UNIT) == "active"
    waiting.assert_healthy()


def test_the_metrics_are_written_by_a_timer_of_the_system_s(builders: Builders) -> None:
    machine = builders.second.machine
    assert activity(builders.second, "darling-builder-metrics@second.timer") == "active"

    machine.run("systemctl", "start", "darling-builder-metrics@second.service")

    assert "second" in machine.path("/srv/second.prom").read_text()


def test_an_init_by_hand_has_nothing_to_do_for_either(builders: Builders) -> None:
    for builder in (builders.waiting, builders.second):
        assert "nothing was changed" in builder.tool("init").stdout


def test_both_are_as_they_were_after_a_reboot(builders: Builders) -> None:
    builders.second.machine.reboot()

    assert activity(builders.waiting, UNIT) == "inactive"
    builders.second.assert_healthy()
    assert "on 'ssh-ng://darling-builder'" in builders.waiting.build(BUILD % ("again", "first")).stderr


def test_one_goes_and_the_other_stays(builders: Builders) -> None:
    builders.waiting.tool("uninstall", "--purge")

    builders.second.assert_healthy()
    assert not builders.waiting.file(STATE).exists()


def test_a_first_init_that_fails_is_tried_again_until_somebody_can_connect(builders: Builders) -> None:
    # given: a machine that boots for the first time, where nothing can be fetched yet
    waiting, run = builders.waiting, builders.waiting.machine.run
    waiting.tool("uninstall", "--purge")
    run("sed", "--in-place", f"s|{TARBALL}|{LATE}|", CONFIG)
    run("systemctl", "start", SOCKET)
    # when
    assert run("systemctl", "restart", INIT, check=False).rc == 1
    assert activity(waiting, INIT) == "activating"
    assert UNIT not in run("systemctl", "list-jobs").stdout
    assert not waiting.file(f"{STATE}/machines").exists()
    run("cp", TARBALL, LATE)
    # then
    until(waiting, f"systemctl is-active {INIT}", seconds=90)
    assert "on 'ssh-ng://darling-builder'" in waiting.build(BUILD % ("late", "first")).stderr
