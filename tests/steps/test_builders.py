"""The host's Nix led to our machines file, as each distribution of Nix has it, and left as it was."""

from pathlib import Path

import pytest

from darlingbuilder.core import machines
from darlingbuilder.core.errors import ForeignFileError, PrerequisiteError
from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_CUSTOM_CONF, NIX_DAEMON, NIX_MACHINES
from darlingbuilder.steps.builders import Builders
from tests.fakes.distributions import CUSTOM_CONF, DISTRIBUTIONS, NIXD_CONF, Distribution
from tests.fakes.host import Host, make_host
from tests.names import OUR_MACHINES

ETC_NIX = HOST_NIX_CONF.parent
INCLUDED = b"@/etc/nix/machines;@/etc/nix/darling-builder.machines"
every = pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys())
# What users write into their machines file or their settings.
MACHINES = {
    "none": None,
    "a comment and no newline": b"# mine\nssh://mac x86_64-darwin",
    "a file of its own": b"ssh://mac x86_64-darwin\n@/etc/nix/more\n",
    "empty": b"",
}
SETTINGS = {
    "nothing": b"",
    "one machine": b"builders = ssh://mac x86_64-darwin\n",
    "a file": b"builders = @/etc/nix/mine\n",
    "two files": b"builders = @/etc/nix/a;@/etc/nix/b\n",
    "the file and a machine": b"builders = @/etc/nix/machines ; ssh://mac x86_64-darwin\n",
    "none at all": b"builders =",
    "in an included file": b"!include more.conf\n",
    "in a file that is not there": b"!include gone.conf\nbuilders-use-substitutes = false",
    "extra, which Nix does not know of it": b"extra-builders = ssh://mac x86_64-darwin\n",
}
MORE = b"builders = ssh://more x86_64-darwin # mine"


def installed(tmp_path: Path, distribution: Distribution) -> Host:
    """Lay out a machine with that Nix, whose daemon keeps its habits."""
    host = make_host(tmp_path)
    for name, text in distribution.files.items():
        host.tree.write(ETC_NIX / name, text.encode())

    def started(_unit: str) -> None:
        for name, text in distribution.rewritten.items():
            host.tree.write(ETC_NIX / name, text.encode())

    host.systemd.on_start = started
    return host


def etc_nix(host: Host) -> dict[str, bytes | None]:
    return {name: host.tree.read(ETC_NIX / name) for name in host.tree.names(ETC_NIX)}


@every
@pytest.mark.parametrize("machines_file", MACHINES.values(), ids=MACHINES.keys())
def test_nix_is_led_to_our_file_in_the_place_where_that_stays(
    tmp_path: Path, distribution: Distribution, machines_file: bytes | None
) -> None:
    # given
    host = installed(tmp_path, distribution)
    if machines_file is not None:
        host.tree.write(NIX_MACHINES, machines_file)
    untouched = etc_nix(host)
    builders = Builders(host.world, (OUR_MACHINES,))
    # when
    builders.apply()
    host.systemd.restart(NIX_DAEMON)  # as the next boot does
    # then
    assert builders.check() == builders.not_in_effect() == []
    assert "BEGIN darlingbuilder" in host.text(ETC_NIX / distribution.place)
    others = {NIX_CUSTOM_CONF, HOST_NIX_CONF} - {ETC_NIX / distribution.place}
    assert not [path for path in others if "darlingbuilder" in host.text(path)]
    # and when
    Builders(host.world, ()).apply()
    Builders(host.world, ()).apply()
    # then
    assert etc_nix(host) == untouched


@every
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())
def test_what_a_user_has_set_stays_and_comes_first(
    tmp_path: Path, distribution: Distribution, setting: bytes
) -> None:
    # given
    host = installed(tmp_path, distribution)
    place = ETC_NIX / distribution.place
    host.tree.write(place, (host.tree.read(place) or b"") + setting)
    host.tree.write(ETC_NIX / "more.conf", MORE)
    untouched, own = etc_nix(host), machines.expand(in_force(host), host.text).entries
    builders = Builders(host.world, (OUR_MACHINES,))
    # when
    builders.apply()
    # then
    entries = machines.expand(in_force(host), host.text)
    assert builders.check() == builders.not_in_effect() == []
    assert OUR_MACHINES in entries.files
    assert entries.entries[: len(own)] == own
    Builders(host.world, ()).apply()
    assert etc_nix(host) == untouched


def in_force(host: Host) -> str:
    return str(host.world.nix.settings()["builders"])


def test_a_daemon_that_gets_a_nix_conf_of_its_own_later_takes_our_lines_along(tmp_path: Path) -> None:
    """Determinate's daemon moves a nix.conf that it finds to the end of nix.custom.conf, and writes its own."""
    # given
    host = make_host(tmp_path, nix_conf=b"cores = 2\n", custom=b"max-jobs = 3")
    builders = Builders(host.world, (OUR_MACHINES,))
    builders.apply()
    moved = host.text(NIX_CUSTOM_CONF) + "\n" + host.text(HOST_NIX_CONF)
    # when
    host.tree.write(NIX_CUSTOM_CONF, moved.encode())
    host.tree.write(HOST_NIX_CONF, NIXD_CONF.encode())
    builders.apply()
    # then
    assert builders.check() == builders.not_in_effect() == []
    Builders(host.world, ()).apply()
    assert host.text(NIX_CUSTOM_CONF) == "max-jobs = 3\ncores = 2\n"
    assert host.text(HOST_NIX_CONF) == NIXD_CONF


def test_where_nix_conf_gainsays_what_it_has_included_our_lines_come_after_that(tmp_path: Path) -> None:
    conf = b"!include nix.custom.conf\nbuilders = ssh://mac x86_64-darwin\n"
    host = make_host(tmp_path, nix_conf=conf, custom=CUSTOM_CONF.encode())
    builders = Builders(host.world, (OUR_MACHINES,))

    builders.apply()

    assert builders.check() == builders.not_in_effect() == []
    assert "builders = ssh://mac x86_64-darwin;@/etc/nix/darling-builder.machines\n" in host.text(HOST_NIX_CONF)
    assert host.text(NIX_CUSTOM_CONF) == CUSTOM_CONF


def test_a_machines_file_that_is_a_link_is_passed_by(tmp_path: Path) -> None:
    # given
    host = make_host(tmp_path, nix_conf=b"")
    (tmp_path / "nix/store").mkdir(parents=True)
    (tmp_path / "nix/store/x-machines").write_text("ssh://mac x86_64-darwin\n")
    tree = host.tree
    tree.write_link(NIX_MACHINES, str(tmp_path / "nix/store/x-machines"))
    builders = Builders(host.world, (OUR_MACHINES,))
    # when
    builders.apply()
    # then
    assert builders.check() == builders.not_in_effect() == []
    assert INCLUDED in (tree.read(HOST_NIX_CONF) or b"")
    assert tree.link(NIX_MACHINES)
    assert tree.read(NIX_MACHINES) == b"ssh://mac x86_64-darwin\n"
    Builders(host.world, ()).apply()
    assert tree.read(HOST_NIX_CONF) == b""


def test_a_file_for_custom_settings_that_something_else_keeps_asks_for_register_false(tmp_path: Path) -> None:
    host = installed(tmp_path, DISTRIBUTIONS["Determinate, nothing of one's own"])
    host.tree.write_link(NIX_CUSTOM_CONF, "/nix/store/x-nix.conf")

    with pytest.raises(ForeignFileError) as raised:
        Builders(host.world, (OUR_MACHINES,)).apply()

    assert "register = false" in raised.value.hint


def test_a_daemon_is_told_of_what_was_changed_even_if_the_rest_cannot_be(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    Builders(host.world, (OUR_MACHINES,)).apply()
    before = host.daemon()
    host.tree.write_link(NIX_CUSTOM_CONF, "/nix/store/x-nix.conf")
    host.tree.write(HOST_NIX_CONF, b"!include nix.custom.conf\n" + (host.tree.read(HOST_NIX_CONF) or b""))

    with pytest.raises(ForeignFileError):
        Builders(host.world, (OUR_MACHINES,)).apply()

    assert "darlingbuilder" not in host.text(HOST_NIX_CONF)
    assert host.daemon() != before


@pytest.mark.parametrize("file", ["machines", "mine.toml"])
def test_machines_in_toml_are_left_whole(tmp_path: Path, file: str) -> None:
    """Lix: with a line of ours in it, the file would be no TOML, and every machine in it lost."""
    # given
    host = make_host(tmp_path, nix_conf=f"builders = @/etc/nix/{file}\n".encode())
    toml = b'version = 1\n[machines.mac] # mine\nuri = "ssh://mac"\nsystem-types = ["x86_64-darwin"]\n'
    host.tree.write(ETC_NIX / file, toml)
    untouched = etc_nix(host)
    builders = Builders(host.world, (OUR_MACHINES,))
    # when
    with pytest.raises(PrerequisiteError, match="is TOML") as raised:
        builders.apply()
    # then
    assert "register = false" in raised.value.hint
    assert [found.what for found in builders.check()] == [f"/etc/nix/{file}"]
    Builders(host.world, ()).apply()
    assert etc_nix(host) == untouched


def test_a_user_who_has_included_our_file_is_not_offered_it_twice(tmp_path: Path) -> None:
    host = make_host(tmp_path, machines=b"@/etc/nix/darling-builder.machines\nssh://mac\n")
    builders = Builders(host.world, (OUR_MACHINES,))

    builders.apply()

    assert builders.check() == builders.not_in_effect() == []
    assert host.text(NIX_MACHINES) == "@/etc/nix/darling-builder.machines\nssh://mac\n"
    assert "builders =" not in host.text(HOST_NIX_CONF)


def test_several_files_are_led_to_and_each_can_go_alone(tmp_path: Path) -> None:
    host = make_host(tmp_path, nix_conf=b"builders = ssh://mac x86_64-darwin\n")
    untouched = etc_nix(host)
    other = ETC_NIX / "darling-builder-2.machines"

    Builders(host.world, (OUR_MACHINES, other)).apply()
    both = machines.expand(in_force(host), host.text).files
    Builders(host.world, (other,)).apply()
    one = machines.expand(in_force(host), host.text).files

    assert both == {OUR_MACHINES, other}
    assert one == {other}
    assert [found.what for found in Builders(host.world, (OUR_MACHINES,)).not_in_effect()] == [
        "Nix's setting builders"
    ]
    Builders(host.world, ()).apply()
    assert etc_nix(host) == untouched


def test_a_nix_without_a_running_daemon_is_left_without_one(tmp_path: Path) -> None:
    """Lix is started by its socket for each connection; a nix-daemon.service would end that socket."""
    host = make_host(tmp_path)
    host.systemd.stop(NIX_DAEMON)

    Builders(host.world, (OUR_MACHINES,)).apply()

    assert host.daemon() == 0


def test_the_file_that_says_what_is_in_force_is_found(tmp_path: Path) -> None:
    host = installed(tmp_path, DISTRIBUTIONS["Determinate"])
    builders = Builders(host.world, (OUR_MACHINES,))
    default = builders.in_force("@/etc/nix/machines")
    host.tree.write(NIX_CUSTOM_CONF, b"builders = ssh://mac x86_64-darwin\n")
    builders.apply()

    by_us = builders.in_force(in_force(host))

    assert default is not None
    assert default.file == Path()
    assert by_us is not None
    assert by_us.file == NIX_CUSTOM_CONF
    assert builders.in_force("by NIX_CONFIG") is None
