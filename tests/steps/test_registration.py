"""The builder made known to the host's ssh and Nix, and withdrawn."""

from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core import machines
from darlingbuilder.core.errors import BuilderError, ForeignFileError, PrerequisiteError
from darlingbuilder.core.paths import (
    HOST_NIX_CONF,
    NIX_MACHINES,
    SSH_CONFIG,
    Paths,
    public_half,
)
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.registration import CONNECT_SECONDS, Registration, alias_text
from tests.fakes.configured_nix import ConfiguredNix
from tests.fakes.host import HOST_KEY, make_host
from tests.fakes.tree import RootlessTree
from tests.names import ALIAS, OUR_MACHINES, SSH_ALIAS

OFFERED = Paths(Settings()).machines
needs_ssh = pytest.mark.skipif(process.find("ssh") is None, reason="needs OpenSSH's client")


def test_everything_of_an_empty_machine_is_absent(tmp_path: Path) -> None:
    tree = RootlessTree(tmp_path)
    host = make_host(tmp_path / "other")
    world = replace(host.world, host=tree, nix=ConfiguredNix(tree, installed=False))

    drift = {found.what: found.detail for found in Registration(Settings(), world).check()}

    assert drift[str(SSH_ALIAS)] == "absent"
    assert "host key" in drift[str(OUR_MACHINES)]
    assert tree.names(Path("/")) == ["other"]


def test_what_is_applied_is_converged_and_is_not_written_again(tmp_path: Path) -> None:
    # given
    host = make_host(tmp_path)
    registration = host.registration()
    assert registration.check()
    # when
    registration.apply()
    before, daemon = host.snapshot(), host.daemon()
    registration.apply()
    # then
    assert registration.check() == []
    assert host.snapshot() == before
    assert host.daemon() == daemon


def test_nix_is_led_from_its_machines_file_to_our_pinned_line(tmp_path: Path) -> None:
    host = make_host(tmp_path, machines=b"ssh://mac x86_64-darwin\n")

    host.registration().apply()

    entries = machines.expand("@/etc/nix/machines", host.text).entries
    found = machines.find(entries, ALIAS)
    assert entries[0] == "ssh://mac x86_64-darwin"
    assert found is not None
    assert found.host_key == HOST_KEY.decode()
    assert "builders-use-substitutes = true" in host.text(HOST_NIX_CONF)
    assert "builders =" not in host.text(HOST_NIX_CONF)


def test_no_comment_in_a_machines_file_holds_a_semicolon_which_nix_before_2_34_takes_for_an_entry(
    tmp_path: Path,
) -> None:
    host = make_host(tmp_path)

    host.registration().apply()

    assert ";" not in host.text(OUR_MACHINES)
    assert ";" not in host.text(NIX_MACHINES)


def test_builders_that_pass_the_machines_file_by_are_extended_in_nix_conf(tmp_path: Path) -> None:
    host = make_host(tmp_path, nix_conf=b"builders = ssh://mac x86_64-darwin\n")
    registration = host.registration()

    registration.apply()

    assert "\nbuilders = ssh://mac x86_64-darwin;@/etc/nix/darling-builder.machines\n" in host.text(HOST_NIX_CONF)
    assert host.tree.read(NIX_MACHINES) is None
    assert registration.check() == []


def test_builders_set_in_an_included_file_are_extended_too(tmp_path: Path) -> None:
    host = make_host(tmp_path, nix_conf=b"!include mine.conf\n")
    host.tree.write(HOST_NIX_CONF.with_name("mine.conf"), b"builders = ssh://mac\n")

    host.registration().apply()

    assert "\nbuilders = ssh://mac;@/etc" in host.text(HOST_NIX_CONF)


def test_a_user_who_turns_back_to_the_machines_file_is_followed(tmp_path: Path) -> None:
    # given
    host = make_host(tmp_path, nix_conf=b"builders = ssh://mac\n")
    registration = host.registration()
    registration.apply()
    # when
    host.tree.write(HOST_NIX_CONF, host.text(HOST_NIX_CONF).replace("builders = ssh://mac\n", "", 1).encode())
    drift = registration.check()
    registration.apply()
    # then
    assert drift
    assert "builders =" not in host.text(HOST_NIX_CONF)
    assert f"@{OUR_MACHINES}" in host.text(NIX_MACHINES)


@pytest.mark.parametrize("choice", ["true", "false"])
def test_a_choice_about_substitutes_is_the_user_s(tmp_path: Path, choice: str) -> None:
    text = f"builders-use-substitutes = {choice}\n"
    host = make_host(tmp_path, nix_conf=text.encode())
    registration = host.registration()

    registration.apply()

    assert host.text(HOST_NIX_CONF) == text
    assert registration.check() == []


def test_the_daemon_is_restarted_when_nix_conf_was_changed_and_only_then(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    registration = host.registration()
    first = host.daemon()

    registration.apply()
    second = host.daemon()
    host.tree.remove(OUR_MACHINES)
    registration.apply()
    third = host.daemon()
    registration.revert()

    assert first != second == third != host.daemon()


def test_a_setting_that_overrides_nix_conf_is_reported_and_refused(tmp_path: Path) -> None:
    host = make_host(tmp_path, nix={"builders": ""})
    registration = host.registration()

    with pytest.raises(PrerequisiteError, match="does not lead to") as raised:
        registration.apply()

    assert "NIX_CONFIG" in raised.value.hint
    assert [found.what for found in registration.check()] == ["Nix's setting builders"]


@pytest.mark.parametrize("nix_conf", [b"", b"a = 1", b"builders = ssh://mac\n# \xff\n"])
@pytest.mark.parametrize("before", [b"ssh://mac", b"# mine\n"])
def test_everything_is_withdrawn_to_the_byte(tmp_path: Path, nix_conf: bytes, before: bytes) -> None:
    # given
    host = make_host(tmp_path, nix_conf=nix_conf, machines=before)
    registration = host.registration()
    untouched = {path: (mode, content) for path, (mode, _time, content) in host.snapshot().items()}
    # when
    registration.apply()
    registration.revert()
    registration.revert()
    # then
    assert {path: (mode, content) for path, (mode, _time, content) in host.snapshot().items()} == untouched
    assert registration.check()


def test_files_that_were_not_there_are_gone_again(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.tree.remove(SSH_CONFIG)
    registration = host.registration()

    registration.apply()
    assert registration.check() == []
    registration.revert()

    assert host.tree.names(HOST_NIX_CONF.parent) == []
    assert host.tree.read(SSH_CONFIG) is None


def test_an_ssh_config_that_reads_no_further_files_is_refused_with_the_line_that_it_lacks(tmp_path: Path) -> None:
    host = make_host(tmp_path, ssh_config=b"Host *\nInclude /etc/ssh/ssh_config.d/*.conf\n")
    registration = host.registration()

    with pytest.raises(PrerequisiteError) as raised:
        registration.apply()

    assert "Include /etc/ssh/ssh_config.d/*.conf" in raised.value.hint
    assert str(SSH_CONFIG) in [found.what for found in registration.check()]
    assert host.text(SSH_CONFIG).startswith("Host *")


@pytest.mark.parametrize(
    "line", ["Include ssh_config.d/*", 'include "/etc/ssh/ssh_config.d/*.conf"', "INCLUDE=x ssh_config.d/d*"]
)
def test_an_include_is_recognised_however_it_is_written(tmp_path: Path, line: str) -> None:
    host = make_host(tmp_path, ssh_config=f"# mine\n{line}\nHost *\n".encode())

    host.registration().apply()

    assert host.registration().check() == []


def test_a_foreign_file_in_the_place_of_ours_is_neither_replaced_nor_removed(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.tree.write(SSH_ALIAS, b"Host darling-builder\n    Port 99\n")

    with pytest.raises(ForeignFileError):
        host.registration().apply()
    host.registration().revert()

    assert host.text(SSH_ALIAS) == "Host darling-builder\n    Port 99\n"


def test_a_nix_conf_that_is_a_link_asks_for_register_false(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    (tmp_path / "etc/nix").mkdir(parents=True, exist_ok=True)
    (tmp_path / "etc/nix/nix.conf").symlink_to("/nix/store/x-nix.conf")

    with pytest.raises(ForeignFileError) as raised:
        host.registration().apply()

    assert "register = false" in raised.value.hint


def test_without_a_host_key_nothing_can_be_pinned(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.tree.remove(public_half(Paths(Settings()).host_key))

    with pytest.raises(BuilderError, match="pinned"):
        host.registration().apply()


def test_unregistered_nothing_is_wanted_and_what_is_left_is_withdrawn(tmp_path: Path) -> None:
    # given
    host = make_host(tmp_path)
    untouched = set(host.snapshot())
    host.registration().apply()
    unregistered = host.registration(register=False)
    # when
    drift = unregistered.check()
    unregistered.apply()
    # then
    assert {str(SSH_ALIAS), str(OUR_MACHINES)} <= {found.what for found in drift}
    assert unregistered.check() == []
    assert set(host.snapshot()) - untouched == {host.tree.real(OFFERED)}
    assert host.text(OFFERED).splitlines()[1] == machines.ours(Settings(), HOST_KEY.decode()).line
    # and back
    assert [found.detail for found in host.registration().check() if found.what == str(OFFERED)] == [
        "is not wanted: register is true"
    ]
    host.registration().apply()
    assert host.registration().check() == []
    assert host.tree.read(OFFERED) is None


def test_unregistered_the_line_to_include_goes_with_the_builder(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    untouched = set(host.snapshot())
    unregistered = host.registration(register=False)
    unregistered.apply()

    for _ in range(2):
        unregistered.revert()

    assert set(host.snapshot()) == untouched


def test_unregistered_there_is_no_line_without_a_host_key(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.tree.remove(public_half(Paths(Settings()).host_key))
    unregistered = host.registration(register=False)

    assert [found.detail for found in unregistered.check()] == ["cannot be written: the guest's host key is absent"]
    with pytest.raises(BuilderError, match="pinned"):
        unregistered.apply()


@needs_ssh
def test_ssh_itself_takes_every_option_of_the_alias_and_leaves_other_hosts_alone(tmp_path: Path) -> None:
    # given
    config = tmp_path / "config"
    config.write_text(f"{alias_text(Settings(port=2345))}\n{EVERYBODYS}")
    # when
    ours, other = effective(config, "darling-builder"), effective(config, "elsewhere")
    # then
    assert ours.items() >= EXPECTED.items()
    assert {"proxyjump", "controlpath"}.isdisjoint(ours)
    # and what Nix is given while the builder is out of service fails at once, whatever else is configured
    out = effective(config, "darling-builder-out-of-service")
    assert out["proxycommand"].startswith("sh -c 'echo \"darling-builder is out of service")
    assert (other["port"], other["forwardagent"], other["controlmaster"]) == ("99", "yes", "auto")


def effective(config: Path, host: str) -> dict[str, str]:
    printed = process.run("ssh", "-F", config, "-G", host).stdout
    return dict(line.split(" ", 1) for line in printed.splitlines() if " " in line)


EVERYBODYS = """
Host *
    Port 99
    ForwardAgent yes
    ProxyJump elsewhere
    ControlMaster auto
    ControlPath ~/.ssh/%C
    ControlPersist 60
"""
EXPECTED = {
    "hostname": "127.0.0.1",
    "port": "2345",
    "user": "darlingbuilder",
    "hostkeyalias": "darling-builder",
    "identityfile": "/etc/nix/darling-builder-key",
    "identitiesonly": "yes",
    "identityagent": "none",
    "stricthostkeychecking": "true",
    "userknownhostsfile": "/var/lib/darling-builder/known_hosts",
    "globalknownhostsfile": "/dev/null",
    "hostkeyalgorithms": "ssh-ed25519",
    "updatehostkeys": "false",
    "checkhostip": "no",
    "preferredauthentications": "publickey",
    "batchmode": "yes",
    "connecttimeout": "7",
    "serveraliveinterval": "15",
    "serveralivecountmax": "3",
    "forwardagent": "no",
    "forwardx11": "no",
    "clearallforwardings": "yes",
    "compression": "no",
    "controlmaster": "false",
}


def test_ssh_waits_for_a_builder_on_demand_to_boot() -> None:
    plain = alias_text(Settings())
    waiting = alias_text(Settings(on_demand=True, idle_timeout=20, boot_timeout=60, private_port=2300))

    assert f"ConnectTimeout {CONNECT_SECONDS}\n" in plain
    assert f"ConnectTimeout {CONNECT_SECONDS + 2 * 60}\n" in waiting
    assert "Port 2222\n" in waiting
