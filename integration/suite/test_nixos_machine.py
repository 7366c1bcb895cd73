"""A builder brought by the system's own configuration, as NixOS does it: /etc and units out of the store."""

import pytest

from integration.machine.tree import differences, touched
from integration.suite.nixos import toml
from integration.suite.site import CONFIG, STATE, UNIT, Site
from integration.suite.switched import Switched, etc, in_store, switch, write

MACHINES = f"{STATE}/machines"
DERIVATION = """
derivation {
  name = "through-the-module"; system = "x86_64-darwin"; builder = "/bin/sh";
  args = [ "-c" "echo built > $out" ];
}
"""


@pytest.fixture(scope="module")
def switched(site: Site) -> Switched:
    """A machine that was switched to the module with one builder."""
    return switch(site, "maxJobs = 2; limits.grace = 5;")


def test_the_unit_starts_a_builder_out_of_nothing(switched: Switched) -> None:
    switched.site.assert_healthy()


def test_nothing_in_etc_is_changed_but_for_the_key(switched: Switched) -> None:
    now = etc(switched.site)

    changed = {line.split()[1] for line in differences(switched.etc, now)}
    assert changed == {"/etc/nix/darling-builder-key", "/etc/nix/darling-builder-key.pub"}
    assert touched(switched.etc, now) == ["/etc/nix"]


def test_nix_builds_through_the_line_that_the_service_has_written(switched: Switched) -> None:
    entries = switched.site.file(MACHINES).read_text().splitlines()
    [line] = [one for one in entries if not one.startswith("#")]
    assert line.split()[:4] == ["ssh-ng://darling-builder", "x86_64-darwin", "/etc/nix/darling-builder-key", "2"]
    assert line.split()[7] != "-"

    [output] = switched.site.build(DERIVATION).stdout.split()

    assert switched.site.file(output).read_text() == "built\n"


def test_an_init_by_hand_has_nothing_to_do(switched: Switched) -> None:
    assert "nothing was changed" in switched.site.tool("init").stdout


def test_a_changed_configuration_takes_effect_with_the_restart_that_nixos_makes(switched: Switched) -> None:
    tree = {**switched.system["toml"]["darlingbuilder/config.toml"], "port": 2345, "max_jobs": 3}
    write(switched.site, "/root/changed.toml", toml(tree))
    store = in_store(switched.site, "/root/changed.toml", "config.toml")
    switched.site.machine.run("ln", "--force", "--symbolic", store, CONFIG)
    config = switched.site.file("/etc/ssh/ssh_config")
    config.write_text(config.read_text().replace("Port 2222", "Port 2345"))

    switched.site.machine.run("systemctl", "restart", UNIT, timeout=180)

    switched.site.assert_healthy()
    assert " 3 1 " in switched.site.file(MACHINES).read_text()


def test_uninstall_leaves_what_the_system_has_brought(switched: Switched) -> None:
    before = etc(switched.site)

    switched.site.tool("uninstall", "--purge")

    gone = {line.split()[1] for line in differences(before, etc(switched.site))}
    assert gone == {"/etc/nix/darling-builder-key", "/etc/nix/darling-builder-key.pub"}
    assert not switched.site.file(STATE).exists()
    assert switched.site.machine.run("id", "darlingbuilder").rc == 0


def test_without_the_unit_init_asks_for_it(switched: Switched) -> None:
    switched.site.machine.run("rm", f"/etc/systemd/system/{UNIT}")
    switched.site.machine.run("systemctl", "daemon-reload")

    refused = switched.site.tool("init", check=False)

    assert refused.rc == 5
    assert "darlingbuilder config unit" in refused.stderr
