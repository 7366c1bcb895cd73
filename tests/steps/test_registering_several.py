"""Several builders made known to the host's ssh and Nix, each withdrawn by itself, to the byte."""

import itertools
from pathlib import Path

import pytest

from darlingbuilder.core import machines
from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_MACHINES, SSH_CONFIG, Paths, public_half
from darlingbuilder.steps.breaker import Breaker
from darlingbuilder.steps.registration import Registration
from tests.fakes.furnished import chosen
from tests.fakes.host import HOST_KEY, Host, make_host

NAMES = ("default", "second", "third")
CONFIGS = {name: chosen(instance=name) for name in NAMES}
SHARED = (NIX_MACHINES, HOST_NIX_CONF, SSH_CONFIG)


def host_with_keys(root: Path, *, nix_conf: bytes = b"", machines_file: bytes | None = b"") -> Host:
    host = make_host(root, nix_conf=nix_conf, machines=machines_file or b"")
    if machines_file is None:
        host.tree.remove(NIX_MACHINES)
    for config in CONFIGS.values():
        host.tree.write(public_half(Paths(config.settings).host_key), HOST_KEY)
    return host


def of(host: Host, name: str) -> Registration:
    return Registration(CONFIGS[name].settings, host.world)


def shared(host: Host) -> dict[Path, bytes | None]:
    return {path: host.tree.read(path) for path in SHARED}


def drifted(host: Host, *names: str) -> list[str]:
    return [f"{name}: {drift}" for name in names for drift in of(host, name).check()]


def builders(host: Host) -> list[str]:
    """Give the machines that Nix finds, by what it is really told."""
    told = str(host.world.nix.settings()["builders"])
    return sorted(machines.parse(entry).host for entry in machines.expand(told, host.text).entries)


@pytest.mark.parametrize("conf", [b"", b"builders = ssh://mac x86_64-darwin", b"builders =\n", b"a = 1"])
@pytest.mark.parametrize("machines_file", [None, b"", b"ssh://mac x86_64-darwin", b"# \xff\n"])
@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)))
def test_each_adds_and_withdraws_its_own_and_the_last_one_leaves_every_byte_as_it_was(
    tmp_path: Path, order: tuple[str, ...], conf: bytes, machines_file: bytes | None
) -> None:
    # given
    host = host_with_keys(tmp_path, nix_conf=conf, machines_file=machines_file)
    before = shared(host)
    # when: they come in one order, and go in every other
    for number, name in enumerate(NAMES, 1):
        of(host, name).apply()
        assert drifted(host, *NAMES[:number]) == []
    assert {"darling-builder", "darling-builder-second", "darling-builder-third"} <= set(builders(host))
    for number, name in enumerate(order, 1):
        of(host, name).revert()
        # then
        assert drifted(host, *order[number:]) == []
        assert CONFIGS[name].settings.names.alias not in builders(host)
    assert shared(host) == before


def test_an_ssh_config_of_ours_stays_as_long_as_one_of_us_needs_it(tmp_path: Path) -> None:
    host = host_with_keys(tmp_path)
    host.tree.remove(SSH_CONFIG)
    of(host, "default").apply()
    of(host, "second").apply()

    of(host, "default").revert()

    assert "Include" in host.text(SSH_CONFIG)
    assert drifted(host, "second") == []
    of(host, "second").revert()
    assert host.tree.read(SSH_CONFIG) is None


def test_a_block_that_leads_to_a_builder_that_is_gone_is_put_right_by_the_next(tmp_path: Path) -> None:
    host = host_with_keys(tmp_path)
    of(host, "default").apply()
    of(host, "second").apply()
    host.tree.remove(CONFIGS["second"].settings.names.machines)

    assert [found.what for found in of(host, "default").check()] == [f"{NIX_MACHINES} (our block)"]
    of(host, "default").apply()

    assert "second" not in host.text(NIX_MACHINES)


def test_one_that_is_not_registered_any_more_leaves_the_others_lines(tmp_path: Path) -> None:
    host = host_with_keys(tmp_path)
    of(host, "default").apply()
    of(host, "second").apply()
    alone = Registration(chosen(instance="second", register="false").settings, host.world)

    assert alone.check()
    alone.apply()

    assert alone.check() == []
    assert drifted(host, "default") == []
    assert builders(host) == ["darling-builder"]


def test_the_breaker_of_one_leaves_the_line_of_the_other(tmp_path: Path) -> None:
    host = host_with_keys(tmp_path)
    for name in ("default", "second"):
        of(host, name).apply()
    before = host.text(CONFIGS["second"].settings.names.machines)

    for _ in range(3):
        Breaker(CONFIGS["default"].settings, host.world).failed("no reason")

    assert builders(host) == ["darling-builder-out-of-service", "darling-builder-second"]
    assert host.text(CONFIGS["second"].settings.names.machines) == before
    assert drifted(host, "default", "second") == []


def test_locks_of_slots_go_with_their_own_builder(tmp_path: Path) -> None:
    host = host_with_keys(tmp_path)
    slots = {name: f"ssh-ng:__{CONFIGS[name].settings.names.alias}-1" for name in NAMES}
    for slot in slots.values():
        host.tree.write(Path("/nix/var/nix/current-load") / slot, b"")

    of(host, "default").revert()

    assert host.tree.names(Path("/nix/var/nix/current-load")) == [slots["second"], slots["third"]]
