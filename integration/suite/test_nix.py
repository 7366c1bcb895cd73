"""Where the guest's Nix comes from, and what happens to one that does not answer."""

import pytest

from integration.machine.guestnix import ReleaseTarball, load_into_host_store
from integration.suite.site import STATE, UNIT, USER, Site, told

# A Nix that dies of an illegal instruction, one that hangs, one that says its version but builds nothing with a link.
DEAD = "kill -ILL $$"
HANGING = "sleep 1000"
UNABLE = """
case $0 in
*/nix-build) echo "error: clearing flags of path '/nix/store/x/link': Invalid argument" >&2; exit 1 ;;
*) echo "nix-store (Nix) 9.9" ;;
esac
"""
TOOLS = ("nix-build", "nix-daemon", "nix-store")
ANSWERED = "/nix/var/nix/profiles/default/bin/nix-store"


def broken_nix(site: Site, script: str) -> str:
    """Put a Nix into the host's store whose tools are all ``script``."""
    site.machine.run("sh", "-c", "rm -rf /root/nix-9.9; mkdir -p /root/nix-9.9/bin")
    for name in TOOLS:
        site.file(f"/root/nix-9.9/bin/{name}").write_text(f"#!/bin/sh\n{script}\n")
        site.machine.run("chmod", "0755", f"/root/nix-9.9/bin/{name}")
    return site.machine.run("nix-store", "--add", "/root/nix-9.9").stdout.strip()


def test_on_a_first_install_a_nix_that_dies_is_named_and_a_good_one_heals(site: Site, newer: ReleaseTarball) -> None:
    load_into_host_store(site.machine, newer)
    site.settings.clear()
    dead = broken_nix(site, DEAD)

    failed = site.set(nix__package=dead).tool("init", check=False)

    assert failed.rc == 1
    assert f"{dead} cannot serve in this guest: asked for its version, it died of SIGILL" in failed.stderr
    assert "known to work in a Darling guest: 2.18.9" in failed.stderr
    again = site.tool("start", check=False)
    assert (again.rc, "SIGILL" in again.stderr) == (1, True)

    # Nor is it anything to fall back to.
    assert site.set(nix__package=broken_nix(site, UNABLE)).tool("init", check=False).rc == 1

    site.set(nix__package=newer.nix).tool("init")
    site.assert_healthy()
    site.tool("uninstall", "--purge")


def test_a_store_path_of_the_host_is_taken_over(site: Site, newer: ReleaseTarball) -> None:
    load_into_host_store(site.machine, newer)
    site.settings.clear()
    site.set(nix__package=newer.nix)

    site.tool("init")

    site.assert_healthy()
    answered = site.tool("shell", ANSWERED, "--version").stdout
    assert newer.version in answered
    owners = site.machine.run("sh", "-c", f"stat --format=%U {STATE}/nix/store/* | sort -u").stdout.split()
    assert owners == ["darlingbuilder"]


@pytest.mark.parametrize(
    ("script", "how", "remedy"),
    [
        (DEAD, "asked for its version, it died of SIGILL (Illegal instruction)", "choose another"),
        (HANGING, "asked for its version, it did not answer within 6 s", "choose another"),
        (UNABLE, "no output with a symlink can be registered: lchflags() gives EINVAL", "«compat»"),
    ],
    ids=["dead", "hanging", "unable"],
)
def test_a_new_nix_that_cannot_serve_is_not_kept(
    site: Site, newer: ReleaseTarball, script: str, how: str, remedy: str
) -> None:
    broken = broken_nix(site, script)

    failed = site.set(nix__package=broken, boot_timeout=6).tool("init", check=False)

    assert failed.rc == 1
    assert f"should be {broken}, which failed its trial" in failed.stderr
    journal = site.machine.journal(UNIT)
    assert f"{broken} cannot serve in this guest: {how}" in journal
    assert remedy in journal
    assert "2.18.9" in journal
    code, answer = site.status()
    assert code == 3
    assert "which failed its trial" in told(answer)
    assert newer.version in site.tool("shell", ANSWERED, "--version").stdout
    # Nothing of the trial is left that would keep the builder from stopping.
    assert "sleep" not in site.machine.run("ps", "-eo", "args", "--user", USER, check=False).stdout
    assert site.tool("test").rc == 0

    site.set(nix__package=newer.nix).tool("init")
    site.assert_healthy()


def test_a_nix_that_has_passed_is_not_tried_at_every_start(site: Site) -> None:
    tried = set(site.file(f"{STATE}/nix/store").glob("*-darlingbuilder-test-*"))
    assert tried

    site.tool("restart")

    assert set(site.file(f"{STATE}/nix/store").glob("*-darlingbuilder-test-*")) == tried
    # Without the mark that it has left it is.
    for mark in site.file(f"{STATE}/nix/var/nix/gcroots/darlingbuilder").glob("probed-*"):
        mark.unlink()
    site.tool("restart")
    assert set(site.file(f"{STATE}/nix/store").glob("*-darlingbuilder-test-*")) > tried


def test_a_converged_init_needs_neither_tarball_nor_network(site: Site) -> None:
    assert "nothing was changed" in site.tool("init").stdout
