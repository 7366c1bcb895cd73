"""Slots in use, by the names that Nix gives their locks."""

import pytest

from darlingbuilder.core import machines
from darlingbuilder.core.paths import NIX_LOAD
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.overview import slots
from tests.adapters.test_flocks import locked
from tests.fakes.world import FakeWorld
from tests.names import ALIAS


@pytest.fixture
def host(tmp_path: object) -> Tree:
    tree = Tree(tmp_path)  # type: ignore[arg-type]  # pytest's own path
    tree.make_directory(NIX_LOAD)
    return tree


@pytest.mark.parametrize(
    "uri",
    ["ssh-ng://darling-builder", "ssh://darling-builder", "ssh://me@darling-builder", "ssh-ng://darling-builder?x=1"],
)
def test_ours_is_known_by_whatever_protocol_it_is_registered(host: Tree, uri: str) -> None:
    file = host.real(NIX_LOAD) / f"{uri.replace('/', '_')}-3"
    with locked(file):
        assert slots.of_ours(host, ALIAS) == 1
    assert slots.of_ours(host, ALIAS) == 0


@pytest.mark.parametrize(
    "name", ["ssh:__other-1", "ssh:__not-darling-builder-1", "main-lock", "ssh:__darling-builder.upload-lock"]
)
def test_what_is_not_ours_is_not_counted(host: Tree, name: str) -> None:
    with locked(host.real(NIX_LOAD) / name):
        assert slots.of_ours(host, ALIAS) == 0


def test_a_machine_named_without_a_scheme_is_sshs(host: Tree) -> None:
    machine = machines.parse("root@mac.example x86_64-darwin")
    with locked(host.real(NIX_LOAD) / "ssh:__root@mac.example-0"), locked(host.real(NIX_LOAD) / "ssh:__root@mac-0"):
        assert slots.of_store(host, machine.store) == 1


def test_where_nix_never_sent_anything_nothing_is_in_use(world: FakeWorld) -> None:
    assert slots.of_ours(world.host, ALIAS) == 0
