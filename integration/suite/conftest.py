"""Machines for the suite: one a module, with everything on it that ``darlingbuilder init`` needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.machine.guestnix import ReleaseTarball, release_tarball
from integration.machine.machine import Machine
from integration.machine.roots import Suite
from integration.machine.tree import Tree
from integration.suite.equipment import make_machine, read_release
from integration.suite.site import Site


@pytest.fixture(scope="session")
def tarball(request: pytest.FixtureRequest) -> ReleaseTarball:
    """The guest's usual Nix, packed as a release."""
    given: Path | None = request.config.getoption("--nix-tarball")
    return read_release(given) if given else release_tarball("trixie")


@pytest.fixture(scope="session")
def newer() -> ReleaseTarball:
    """A newer Nix for the guest."""
    return release_tarball("sid")


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest, tarball: ReleaseTarball) -> Iterator[Machine]:
    """A booted machine; a module chooses its Debian by an indirect parameter."""
    host: Suite = getattr(request, "param", "trixie")
    darling: Path | None = request.config.getoption("--darling")
    with make_machine(host, darling=darling, nix_tarball=tarball.path) as machine:
        machine.boot()
        yield machine
    assert machine.leftovers() == []


@pytest.fixture(scope="module")
def pristine(machine: Machine) -> Tree:
    """The machine's disk before anything was done to it."""
    return machine.tree()


@pytest.fixture(scope="module")
def site(machine: Machine, pristine: Tree, tarball: ReleaseTarball) -> Site:
    """The machine, with a settings file that names the guest's Nix."""
    assert pristine
    return Site(machine, tarball).configure()


@pytest.fixture(scope="module")
def builder(site: Site) -> Site:
    """A machine with a running builder."""
    site.tool("init")
    return site
