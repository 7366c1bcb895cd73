"""The host's Nix, and the ssh_config that it connects with."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_DAEMON, NIX_DAEMON_SOCKET, NIX_MACHINES
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import nix, ssh
from darlingbuilder.steps.prerequisites.finding import Check, Level
from tests.fakes.nix import FakeHostNix
from tests.steps.prerequisites.machine import around, fit, fit_world


@dataclass(slots=True)
class NixOfVersion(FakeHostNix):
    """One that is as old as it says."""

    number: tuple[int, ...] = ()

    def version(self) -> tuple[int, ...]:
        """See HostNix."""
        return self.number


@pytest.mark.parametrize(
    ("number", "level"), [((2, 8), Level.OK), ((2, 34, 8), Level.OK), ((3,), Level.OK), ((2, 7, 9), Level.FAILURE)]
)
def test_nix_must_be_new_enough(tmp_path: Path, number: tuple[int, ...], level: Level) -> None:
    surroundings = fit(tmp_path)
    world = replace(surroundings.world, nix=NixOfVersion(tmp_path, number=number))

    assert nix.version(replace(surroundings, world=world)).level is level


def test_without_nix_the_finding_says_how_to_install_it(tmp_path: Path) -> None:
    world = fit_world(tmp_path, Settings())
    world.nix.installed = False

    finding = Check("nix", "it builds", nix.version).find(around(world, Settings()))

    assert (finding.level, bool(finding.hint)) == (Level.FAILURE, True)
    assert nix.platforms(around(world, Settings())).level is Level.WARNING
    assert nix.daemon(around(world, Settings())).level is Level.WARNING


@pytest.mark.parametrize(
    ("configuration", "level"),
    [
        ({}, Level.OK),
        ({"extra-platforms": ["i686-linux"], "system": "x86_64-linux"}, Level.OK),
        ({"extra-platforms": ["i686-linux", "x86_64-darwin"]}, Level.FAILURE),
        ({"extra-platforms": "i686-linux x86_64-darwin"}, Level.FAILURE),
        ({"system": "x86_64-darwin"}, Level.FAILURE),
    ],
)
def test_darwin_must_be_left_to_the_builder(tmp_path: Path, configuration: dict[str, object], level: Level) -> None:
    world = fit_world(tmp_path, Settings())
    world.nix.configuration = configuration

    assert nix.platforms(around(world, Settings())).level is level


def test_one_finding_tells_which_nix_it_is_and_how_it_knows_its_builders(tmp_path: Path) -> None:
    world = fit_world(tmp_path, Settings())
    world.nix.configuration = {"builders": "ssh://mac x86_64-darwin", "trusted-users": ["root", "@wheel"]}
    world.host.write(HOST_NIX_CONF, b"builders = ssh://mac x86_64-darwin\n")

    verdict = nix.daemon(around(world, Settings()))

    assert verdict.level is Level.OK
    for told in ("Nix 2.26.3", "nix-daemon.service is active", "root @wheel", "ssh://mac", f"by {HOST_NIX_CONF}"):
        assert told in verdict.detail


@pytest.mark.parametrize(
    ("builders", "source"),
    [("@/etc/nix/machines", "@/etc/nix/machines by default"), ("ssh://x", "ssh://x by NIX_CONFIG")],
)
def test_builders_that_no_file_says_are_told_with_who_says_them(tmp_path: Path, builders: str, source: str) -> None:
    world = fit_world(tmp_path, Settings())
    world.nix.configuration = {"builders": builders}

    assert source in nix.daemon(around(world, Settings())).detail


def test_a_socket_alone_serves_too_and_without_it_users_cannot_build(tmp_path: Path) -> None:
    world = fit_world(tmp_path, Settings())
    world.systemd.stop(NIX_DAEMON)
    down = nix.daemon(around(world, Settings()))
    world.systemd.packaged.add(NIX_DAEMON_SOCKET)
    world.systemd.start(NIX_DAEMON_SOCKET)
    by_socket = nix.daemon(around(world, Settings()))

    assert (down.level, "systemctl enable" in down.hint) == (Level.WARNING, True)
    assert (by_socket.level, "nix-daemon.socket is active" in by_socket.detail) == (Level.OK, True)


def test_a_machines_file_in_toml_stands_in_the_way_of_registration_alone(tmp_path: Path) -> None:
    world = fit_world(tmp_path, Settings())
    world.host.write(NIX_MACHINES, b'[machines.mac]\nuri = "ssh://mac"\n')

    assert nix.daemon(around(world, Settings())).level is Level.FAILURE
    assert nix.daemon(around(world, Settings(register=False))).level is Level.OK


def test_ssh_config_must_include_the_directory_of_the_alias(tmp_path: Path) -> None:
    surroundings = fit(tmp_path)
    assert ssh.configuration(surroundings).level is Level.OK
    surroundings.world.host.write(Path("/etc/ssh/ssh_config"), b"Host *\n    SendEnv LANG\n")

    verdict = ssh.configuration(surroundings)

    assert (verdict.level, "Include" in verdict.hint) == (Level.FAILURE, True)


def test_ssh_config_does_not_matter_where_nothing_is_registered(tmp_path: Path) -> None:
    surroundings = fit(tmp_path, Settings(register=False))
    surroundings.world.host.write(Path("/etc/ssh/ssh_config"), b"Host *\n")

    assert ssh.configuration(surroundings).level is Level.OK
