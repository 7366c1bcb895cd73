"""Machines for the suite: one a module, with everything on it that ``darlingbuilder init`` needs."""

from collections.abc import Iterator

import pytest

from integration.machine.guestnix import ReleaseTarball
from integration.machine.machine import Machine
from integration.machine.roots import Suite
from integration.machine.tree import Tree
from integration.suite.equipment import Equipment
from integration.suite.nixos import NixOs
from integration.suite.site import Site


@pytest.fixture(scope="session")
def equipment(request: pytest.FixtureRequest) -> Equipment:
    """What the command line asks for: the stand-in, or a real Darling with a Nix for it."""
    option = request.config.getoption
    return Equipment.of(option("--darling"), option("--nix-tarball"), option("--newer-nix-tarball"))


@pytest.fixture(scope="session")
def newer(request: pytest.FixtureRequest, equipment: Equipment) -> ReleaseTarball:
    """Another Nix for the guest. The one that we can make ourselves runs in the stand-in only."""
    if equipment.darling and not request.config.getoption("--newer-nix-tarball"):
        pytest.skip("with a real Darling, changing the Nix needs --newer-nix-tarball")
    return equipment.newer


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest, equipment: Equipment) -> Iterator[Machine]:
    """A booted machine; a module chooses its Debian by an indirect parameter."""
    host: Suite = getattr(request, "param", "trixie")
    with equipment.machine(host) as machine:
        machine.boot()
        yield machine
    assert machine.leftovers() == []


@pytest.fixture(scope="module")
def pristine(machine: Machine) -> Tree:
    """The machine's disk before anything was done to it."""
    return machine.tree()


@pytest.fixture(scope="module")
def site(machine: Machine, pristine: Tree, equipment: Equipment) -> Site:
    """The machine, with a settings file that names the guest's Nix."""
    assert pristine
    return equipment.site(machine)


@pytest.fixture(scope="module")
def builder(site: Site) -> Site:
    """A machine with a running builder."""
    site.tool("init")
    return site


@pytest.fixture(scope="module")
def nixos(machine: Machine) -> NixOs:
    """The NixOS module, evaluated by the machine's own Nix."""
    return NixOs.on(machine)
