"""The lifecycle table: what a user does to a builder in its life, in this order, on one machine."""

import pytest

from integration.machine.guestnix import ReleaseTarball
from integration.machine.tree import Tree, differences, touched
from integration.suite.inotify import Watch
from integration.suite.site import OTHER_TARBALL, STATE, UNIT, USER, Site

# Not the builder's: the journal, the user's settings, what shadow-utils leave beside the files that they change, and
# what the host's own Nix keeps of the builds that it has done. What a power cut has left of PrivateTmp=, systemd
# removes at the next boot by the boot's id, which is one and the same for all boots of our machines.
NOT_OURS = (
    "/nix/", "/var/log/", "/etc/darlingbuilder", "/etc/.pwd.lock", "/var/tmp/systemd-private-",  # noqa: S108 - on the machine
    "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-",
)  # fmt: skip

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")


def ours(tree: Tree) -> Tree:
    return {path: entry for path, entry in tree.items() if not path.startswith(NOT_OURS)}


def test_a_fresh_machine_becomes_a_builder(site: Site) -> None:
    code, answer = site.status()
    assert (code, answer["converged"]) == (3, False)

    completed = site.tool("init")

    assert "darlingbuilder test" in completed.stdout
    site.assert_healthy()


def test_a_second_init_changes_nothing_and_does_not_call_the_launcher(site: Site) -> None:
    before = ours(site.machine.tree())
    with Watch(site.file(site.launcher)) as watch:
        completed = site.tool("init")
        calls = watch.opened()
    after = ours(site.machine.tree())

    assert "nothing was changed" in completed.stdout
    assert calls == 0
    assert differences(before, after) == []
    assert touched(before, after) == []


def test_the_watch_on_the_launcher_would_have_seen_a_call(site: Site) -> None:
    with Watch(site.file(site.launcher)) as watch:
        site.tool("shell", "true")
        assert watch.opened() > 0


def test_a_dry_run_on_a_converged_machine_finds_nothing(site: Site) -> None:
    assert site.tool("init", "--dry-run").rc == 0


def test_a_changed_port_is_drift_until_init(site: Site) -> None:
    site.configure(port=2244)
    dry = site.tool("init", "--dry-run", check=False)
    assert dry.rc == 3
    assert "+Port 2244" in dry.stdout
    assert "setting port" in site.drift()

    site.tool("init")

    site.assert_healthy()
    assert not site.machine.run("ss", "-Hltn", "sport = :2222").stdout


def test_a_change_goes_on_where_nobody_reads_what_is_said_of_it(site: Site) -> None:
    site.configure(port=2255)

    piped = site.machine.run("bash", "-o", "pipefail", "-c", "darlingbuilder init 2>&1 | head -1")

    assert piped.stdout.startswith("applying step=settings")
    assert len(piped.stdout.splitlines()) == 1
    site.assert_healthy(build=False)


def test_a_changed_nix_replaces_the_old_one_once_it_answers(site: Site, newer: ReleaseTarball) -> None:
    site.configure(nix__tarball=OTHER_TARBALL, nix__sha256=newer.sha256)
    site.tool("init")
    site.assert_healthy()
    asked = site.tool("shell", "/nix/var/nix/profiles/default/bin/nix-store", "--version")
    assert newer.version in asked.stdout
    assert generations(site) == ["default-2-link"]

    site.configure().tool("init")
    site.assert_healthy()


def test_the_builder_is_there_after_a_reboot(site: Site) -> None:
    site.machine.reboot()
    site.machine.run("systemctl", "is-active", UNIT)
    site.assert_healthy()


def test_the_builder_is_there_after_a_power_cut(site: Site) -> None:
    site.machine.cut_power()
    site.machine.boot()
    site.machine.run("systemctl", "is-active", UNIT)
    site.assert_healthy()


def test_uninstall_leaves_the_keys_and_nothing_else(site: Site, pristine: Tree) -> None:
    site.tool("uninstall")

    left = {line.split()[1] for line in differences(ours(pristine), ours(site.machine.tree()))}
    key, host_key = "/etc/nix/darling-builder-key", f"{STATE}/keys/ssh_host_ed25519_key"
    assert left == {key, f"{key}.pub", STATE, f"{STATE}/keys", host_key, f"{host_key}.pub"}


def test_uninstall_again_has_nothing_to_do(site: Site) -> None:
    assert "nothing to do" in site.tool("uninstall").stdout


def test_init_after_uninstall_uses_the_keys_that_were_kept(site: Site) -> None:
    key = site.file("/etc/nix/darling-builder-key").read_bytes()
    site.tool("init")
    site.assert_healthy()
    assert site.file("/etc/nix/darling-builder-key").read_bytes() == key


def test_uninstall_with_purge_leaves_the_machine_as_it_was(site: Site, pristine: Tree) -> None:
    site.tool("uninstall", "--purge")
    assert differences(ours(pristine), ours(site.machine.tree())) == []
    assert not [name for name in site.file("/nix/var/nix/current-load").iterdir() if "darling" in name.name]
    assert site.machine.run("id", USER, check=False).rc != 0


def generations(site: Site) -> list[str]:
    names = site.machine.run("ls", f"{STATE}/nix/var/nix/profiles").stdout.split()
    return [name for name in names if name.startswith("default-")]
