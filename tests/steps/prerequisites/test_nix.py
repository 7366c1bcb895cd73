"""The host's Nix, and the ssh_config that it connects with."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

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
