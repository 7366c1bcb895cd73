"""The host's Nix and ssh: what users wrote there survives, before and after, to the byte."""

import pytest

from integration.suite.site import Site

MACHINES = b"# mine\nssh://else x86_64-linux - 1 1 - - -\n\n@/etc/nix/more-machines"
# A builders line of one's own that passes /etc/nix/machines by; CRLF and no newline at the end.
CONF = (
    b"# mine\r\nexperimental-features = nix-command\nbuilders = ssh://one x86_64-linux ; ssh://two i686-linux\n# end"
)


@pytest.fixture(scope="module")
def written(site: Site) -> dict[str, bytes]:
    """What a user wrote before darlingbuilder came."""
    texts = {"/etc/nix/machines": MACHINES, "/etc/nix/nix.conf": CONF}
    for path, text in texts.items():
        site.file(path).write_bytes(text)
    site.machine.run("chmod", "0640", "/etc/nix/machines")
    site.machine.run("systemctl", "restart", "nix-daemon.service")
    return texts


def test_what_a_user_wrote_survives_registration_and_its_withdrawal(site: Site, written: dict[str, bytes]) -> None:
    site.tool("init")
    site.assert_healthy()
    assert site.file("/etc/nix/nix.conf").read_bytes().startswith(CONF)
    effective = site.machine.run("nix", "config", "show", "builders").stdout
    assert "ssh://one" in effective
    assert "darling-builder.machines" in effective

    site.tool("uninstall", "--purge")

    assert {path: site.file(path).read_bytes() for path in written} == written
    assert site.machine.run("stat", "--format=%a", "/etc/nix/machines").stdout.strip() == "640"


def test_without_registration_nothing_of_the_hosts_nix_is_touched(site: Site, written: dict[str, bytes]) -> None:
    site.set(register=False)
    site.tool("init")

    site.assert_healthy()
    assert {path: site.file(path).read_bytes() for path in written} == written
    assert not site.file("/etc/ssh/ssh_config.d/darling-builder.conf").exists()


def test_registration_can_be_switched_on_and_off_again(site: Site, written: dict[str, bytes]) -> None:
    site.set(register=True)
    site.tool("init")
    site.assert_healthy()
    assert site.file("/etc/ssh/ssh_config.d/darling-builder.conf").exists()

    site.set(register=False)
    assert site.status()[0] == 3
    site.tool("init")
    assert {path: site.file(path).read_bytes() for path in written} == written
