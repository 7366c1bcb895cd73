"""Keys: replaced under a stream of builds none of which fails, killed at each step, and brought in from elsewhere."""

import json
import time

import pytest

from integration.machine.commands import Completed, Process
from integration.suite.site import PREFIX, STATE, UNIT, USER, Site
from integration.suite.stream import stream

pytestmark = pytest.mark.alone
both_hosts = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")
one_host = pytest.mark.parametrize("machine", ["trixie"], indirect=True, scope="module")

USER_KEY = "/etc/nix/darling-builder-key"
HOST_KEY = f"{STATE}/keys/ssh_host_ed25519_key"
KNOWN_HOSTS = f"{STATE}/known_hosts"
MACHINES = "/etc/nix/darling-builder.machines"
GUEST_ETC = f"{PREFIX}/private/etc/darlingbuilder"
# What «keys rotate» does, as one can see it: which file is changed, for the how manieth time.
MOMENTS = {
    "the next user key is made": (f"{USER_KEY}.next", 1),
    "the next host key is made": (f"{HOST_KEY}.next", 1),
    "both host keys are known": (KNOWN_HOSTS, 1),
    "both user keys are admitted": (f"{GUEST_ETC}/authorized_keys", 1),
    "both host keys are pinned": (MACHINES, 1),
    "sshd's key file is changed": (f"{GUEST_ETC}/ssh_host_ed25519_key", 1),
    "the user key is changed": (USER_KEY, 1),
    "the host key is changed": (HOST_KEY, 1),
    "the new host key alone is known": (KNOWN_HOSTS, 2),
    "the new user key alone is admitted": (f"{GUEST_ETC}/authorized_keys", 2),
    "the new host key alone is pinned": (MACHINES, 2),
    "the next user key is gone": (f"{USER_KEY}.next", 2),
}


@pytest.fixture
def quiet(site: Site) -> Site:
    """A builder whose two slots are taken soon."""
    site.configure(max_jobs=2)
    site.tool("init")
    return site


def fingerprints(site: Site) -> dict[str, str]:
    found = json.loads(site.tool("keys", "show", "--json").stdout)
    assert {(one["stage"], one["on_host"], one["in_guest"]) for one in found} == {("in use", True, True)}
    return {one["kind"]: one["fingerprint"] for one in found}


def login(site: Site, key: str) -> Completed:
    return site.machine.run(
        "ssh", "-F", "/dev/null", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", "2222",
        "-o", f"UserKnownHostsFile={STATE}/known_hosts", "-o", "HostKeyAlias=darling-builder",
        f"{USER}@127.0.0.1", "echo", "admitted", check=False,
    )  # fmt: skip


def kept(site: Site, name: str) -> str:
    """Keep a copy of the user key of this moment."""
    path = f"/root/{name}"
    site.machine.run("cp", "-p", USER_KEY, path)
    return path


def assert_refused(site: Site, old: str) -> None:
    assert login(site, USER_KEY).stdout == "admitted\n"
    assert "Permission denied" in login(site, old).stderr


def written(site: Site, path: str) -> tuple[int, int, int]:
    found = site.file(path).stat()
    return found.st_ino, found.st_mode, found.st_mtime_ns


def service(site: Site) -> str:
    return site.machine.run("systemctl", "show", "--property=MainPID,NRestarts", UNIT).stdout


def killed_at(site: Site, moment: str) -> None:
    """Rotate the keys, and kill that as soon as ``moment`` has come."""
    path, times = MOMENTS[moment]
    seen = number(site, path)
    rotation: Process[bytes] = site.machine.popen("darlingbuilder", "keys", "rotate")
    while times:
        assert rotation.poll() is None, "it ended before"
        time.sleep(0.001)
        if (now := number(site, path)) != seen:
            seen, times = now, times - 1
    rotation.kill()
    rotation.communicate()


def number(site: Site, path: str) -> int:
    """Give the inode of a file, which is another one after each change; 0 if it is absent."""
    try:
        return site.file(path).lstat().st_ino
    except FileNotFoundError:
        return 0


@both_hosts
@pytest.mark.parametrize("protocol", ["ssh-ng", "ssh"])
def test_no_build_fails_while_both_keys_are_replaced(quiet: Site, protocol: str) -> None:
    # given
    quiet.set(protocol=protocol)
    quiet.tool("init")
    before, old, running = fingerprints(quiet), kept(quiet, f"old-{protocol}"), service(quiet)
    # when
    with stream(quiet, f"rotation-{protocol}", parts=4):
        quiet.tool("keys", "rotate", timeout=300)
    # then
    after = fingerprints(quiet)
    assert all(before[kind] != after[kind] for kind in ("user", "host"))
    assert_refused(quiet, old)
    assert service(quiet) == running
    quiet.assert_healthy()


@both_hosts
@pytest.mark.parametrize("role", ["user", "host"])
def test_one_key_alone_can_be_replaced(quiet: Site, role: str) -> None:
    before = fingerprints(quiet)
    quiet.tool("keys", "rotate", f"--{role}")
    after = fingerprints(quiet)
    assert {kind for kind in before if before[kind] != after[kind]} == {role}
    quiet.assert_healthy()


@one_host
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_it_can_be_repeated(quiet: Site, moment: str) -> None:
    before, old, running = fingerprints(quiet), kept(quiet, "old"), service(quiet)

    with stream(quiet, moment):
        killed_at(quiet, moment)
        # Every other time somebody runs «init» in between.
        if list(MOMENTS).index(moment) % 2:
            quiet.tool("init")
        quiet.tool("keys", "rotate", timeout=300)

    after = fingerprints(quiet)
    assert all(before[kind] != after[kind] for kind in ("user", "host"))
    assert_refused(quiet, old)
    assert service(quiet) == running
    assert quiet.status()[0] == 0
    quiet.assert_healthy(build=False)


@both_hosts
def test_a_half_replaced_key_is_remarked_on_and_no_drift(quiet: Site) -> None:
    killed_at(quiet, "both host keys are pinned")

    code, answer = quiet.status()
    assert (code, {note["what"] for note in answer["notes"]}) == (0, {USER_KEY, HOST_KEY})
    shown = json.loads(quiet.tool("keys", "show", "--json").stdout)
    assert [one["stage"] for one in shown] == ["in use", "next", "in use", "next"]

    quiet.tool("keys", "rotate")
    assert quiet.status()[1]["notes"] == []


@both_hosts
def test_keys_that_a_secret_manager_keeps_are_used_in_place(quiet: Site) -> None:
    # given
    quiet.machine.run("mkdir", "-p", "/run/secrets")
    for name in ("user", "host"):
        path = f"/run/secrets/{name}"
        quiet.machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sops", "-f", path)
        quiet.machine.run("sh", "-c", f"rm {path}.pub; chmod 0400 {path}")
    before = {path: written(quiet, path) for path in ("/run/secrets/user", "/run/secrets/host")}
    old = kept(quiet, "old-secret")
    # when
    quiet.tool("keys", "import", "--user", "/run/secrets/user", "--host", "/run/secrets/host")
    # then
    assert str(quiet.file(USER_KEY).readlink()) == "/run/secrets/user"
    assert str(quiet.file(HOST_KEY).readlink()) == "/run/secrets/host"
    assert {path: written(quiet, path) for path in before} == before
    assert_refused(quiet, old)
    quiet.assert_healthy()
    # and: it is not for us to replace them
    refused = quiet.tool("keys", "rotate", check=False)
    assert refused.rc == 1
    assert "/run/secrets/user" in refused.stderr
    assert "keys import --user FILE" in refused.stderr


@both_hosts
def test_a_credential_is_copied_and_a_copy_gives_way_to_the_next(quiet: Site) -> None:
    # As systemd lays it out; the one of this machine cannot mount it where its services would see it.
    directory = "/run/credentials/rotation.service"
    for number in range(2):
        quiet.machine.run("sh", "-c", f"rm -rf {directory}; mkdir -p {directory}")
        secret = f"{directory}/key"
        quiet.machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"vault {number}", "-f", secret)
        quiet.machine.run("chmod", "0440", secret)
        content = quiet.file(secret).read_bytes()
        quiet.tool("keys", "import", "--user", secret, env={"CREDENTIALS_DIRECTORY": directory})
        quiet.machine.run("rm", "-r", directory)
        assert not quiet.file(USER_KEY).is_symlink()
        assert quiet.file(USER_KEY).read_bytes() == content
        quiet.assert_healthy(build=False)
    assert "brought in" in quiet.tool("keys", "show").stdout
    assert quiet.tool("keys", "rotate", "--user", check=False).rc == 1


@both_hosts
def test_uninstall_takes_what_was_brought_in_and_leaves_what_others_keep(quiet: Site) -> None:
    quiet.tool("uninstall", "--purge")
    assert quiet.machine.run("find", STATE, check=False).stdout == ""
    assert not quiet.file(USER_KEY).exists()
    assert not quiet.file("/run/darlingbuilder-keys.lock").exists()
    assert quiet.file("/run/secrets/host").exists()
