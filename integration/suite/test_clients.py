"""Other machines as clients: they build from the exported snippets alone, and stop when their key is revoked."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from integration.suite.client import HOST, HOST6, KEY, LOGIN, OURS, Client, joined
from integration.suite.nixos import NixOs
from integration.suite.sharing import ROOTS, until
from integration.suite.site import PREFIX, STATE, UNIT, USER, Site, told

on_both = pytest.mark.parametrize("client", ["trixie", "sid"], indirect=True)
AUTHORIZED = f"{PREFIX}/private/etc/darlingbuilder/authorized_keys"
JUMP = ("--jump", LOGIN, "--host", HOST)


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest, builder: Site) -> Iterator[Client]:
    """A client on a cable to the builder's machine."""
    with joined(builder, getattr(request, "param", "trixie")) as made:
        yield made


@pytest.fixture(autouse=True)
def as_at_first(builder: Site) -> Iterator[None]:
    """Whatever a test has changed, the builder listens to this machine alone afterwards, and lets in nobody else."""
    yield
    if {"listen", "store"} & set(builder.settings):
        builder.configure()
        builder.tool("init")
    for one in clients(builder):
        builder.tool("client", "remove", one["name"])


def clients(site: Site) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(site.tool("client", "list", "--json").stdout)
    return found


def derivation(name: str, script: str = "echo $name > $out", features: str = "") -> str:
    return (
        f'derivation {{ name = "{name}-{time.time_ns()}"; system = "x86_64-darwin"; builder = "/bin/sh"; '
        f'requiredSystemFeatures = [ {features} ]; args = [ "-c" "{script.replace("$", chr(92) + "$")}" ]; }}'
    )


def assert_builds(client: Client, name: str, *options: str, features: str = "") -> None:
    built = client.nix_build(derivation(name, features=features), *options)
    assert built.rc == 0, built.stdout + built.stderr
    assert name in client.machine.path(built.stdout.strip()).read_text()


def connects(client: Client, address: str) -> bool:
    return client.machine.run("bash", "-c", f"</dev/tcp/{address}/2222", check=False).rc == 0


# -- by way of the machine's own sshd -----------------------------------------------------------------


@on_both
def test_from_the_snippets_alone_it_builds_by_way_of_a_login(client: Client) -> None:
    # given
    client.admit()
    # when
    client.configure(*JUMP)
    # then
    assert_builds(client, "by-way-of-a-login")
    assert not connects(client, HOST)


@on_both
def test_ssh_itself_goes_by_the_snippets_too(client: Client) -> None:
    client.admit()
    client.configure(*JUMP)
    # With no known_hosts of root's own: that of the way is in the snippet as well.
    client.machine.run("rm", "-f", "/root/.ssh/known_hosts")
    said = client.machine.run("ssh", f"darling-builder-{HOST}", "nix-daemon", "--version", check=False)
    assert "nix-daemon" in said.stdout, said.stderr


@on_both
def test_where_ssh_is_to_keep_its_connections_a_client_s_builds_have_each_their_own(client: Client) -> None:
    # given: what the exported alias has to stand before
    client.admit()
    client.machine.path("/etc/ssh/ssh_config.d/zz-all.conf").write_text(
        "Host *\n  ControlMaster auto\n  ControlPath /run/kept-%C\n  ControlPersist 60\n  Compression yes\n"
    )
    client.configure(*JUMP)
    try:
        told = client.machine.run("ssh", "-G", f"darling-builder-{HOST}").stdout.lower()
        assert "controlmaster false" in told
        assert "controlpath" not in told
        for name in ("kept-first", "kept-second"):
            assert_builds(client, name)
    finally:
        client.machine.run("rm", "/etc/ssh/ssh_config.d/zz-all.conf")


def test_the_string_for_nixpkgs_review_is_what_builders_takes(client: Client) -> None:
    client.admit()
    client.site.set(supported_features=["big-parallel", "apple"], speed_factor=7, listen=["127.0.0.1"])
    client.site.tool("init")
    client.configure(*JUMP, formats=("ssh-config", "known-hosts"))
    string = client.export("--format", "nixpkgs-review", *JUMP)
    assert string.count("\n") == 1
    assert string.split()[2:7] == [KEY, "4", "7", "big-parallel,apple", "-"]
    assert_builds(client, "reviewed", "--builders", string.strip(), features='"apple"')


@pytest.mark.parametrize("name", ["nixos", "nix-darwin"])
def test_a_module_evaluates_and_says_what_the_line_says(client: Client, nixos: NixOs, name: str) -> None:
    client.admit()
    nixos.machine.path("/root/client.nix").write_text(client.export("--format", name, *JUMP))
    made = nixos.value(f'import (checkout + /nix/tests/client.nix) {{ module = /root/client.nix; kind = "{name}"; }}')
    fields = client.export("--format", "nixpkgs-review", *JUMP).split()
    [machine] = made["buildMachines"]
    assert f"{machine['protocol']}://{machine['hostName']}" == fields[0]
    assert [machine["sshKey"], str(machine["maxJobs"]), str(machine["speedFactor"])] == fields[2:5]
    assert machine["publicHostKey"] == fields[7]
    assert client.export("--format", "ssh-config", *JUMP).partition("\n")[2] in made["ssh"].replace("\n\n", "\n")
    known = client.export("--format", "known-hosts", *JUMP).splitlines()[1:]
    assert sorted(f"{','.join(one['hostNames'])} {one['publicKey']}" for one in made["knownHosts"]) == sorted(known)


# -- by the port itself -------------------------------------------------------------------------------


def test_where_nothing_but_loopback_is_listened_on_nobody_comes_by_the_port(client: Client) -> None:
    client.admit()
    assert not connects(client, HOST)
    refused = client.site.tool("export", "--host", HOST, check=False)
    assert (refused.rc, refused.stdout) == (4, "")
    assert "export --jump" in refused.stderr


@on_both
def test_beyond_loopback_it_builds_by_the_port_and_the_risk_is_named(client: Client) -> None:
    # given
    site = client.site
    client.admit()
    # when
    site.set(listen=[HOST, HOST6])
    said = site.tool("init")
    # then
    assert f"whoever reaches port 2222 of {HOST} and {HOST6}" in said.stderr
    code, answer = site.status()
    assert (code, [note["what"] for note in answer["notes"]]) == (0, ["listen"]), told(answer)
    client.configure("--host", HOST)
    assert_builds(client, "by-the-port")
    client.configure("--host", HOST6)
    assert_builds(client, "by-ipv6")
    site.assert_healthy()


@pytest.mark.parametrize("client", ["sid"], indirect=True)
def test_a_newer_nix_needs_no_alias(client: Client) -> None:
    client.admit()
    client.site.set(listen=["0.0.0.0"])  # noqa: S104 - inside of the machine
    client.site.tool("init")
    client.configure("--host", HOST, "--nix-version", "2.34.8", formats=("machines",))
    assert_builds(client, "without-an-alias")
    client.site.assert_healthy(build=False)


def test_on_demand_a_client_starts_the_builder(client: Client) -> None:
    client.admit()
    client.site.set(listen=[HOST, HOST6], on_demand=True)
    client.site.tool("init")
    client.site.machine.run("systemctl", "stop", UNIT)
    client.configure("--host", HOST6)
    assert_builds(client, "on-demand")
    client.configure("--host", HOST)
    assert_builds(client, "on-demand-again")
    client.site.assert_healthy(build=False)
    # Whom systemd's proxy hides can be told apart all the same.
    theirs = client.begin(derivation("revoked", "/bin/sleep 300; echo > $out"))
    await_builds(client.site, "revoked")
    assert "1 connection(s)" in client.site.tool("client", "remove", "laptop").stdout
    theirs.communicate(timeout=20)
    assert theirs.returncode != 0


def test_one_of_a_named_builder_builds_there_and_is_unknown_to_the_other(client: Client) -> None:
    # given
    named = replace(client.site, instance="second", settings={})
    named.configure(listen=[HOST], supported_features=["second"]).tool("init")
    theirs = replace(client, site=named)
    try:
        theirs.admit()
        # when
        theirs.configure("--host", HOST)
        # then
        assert_builds(theirs, "by-name", features='"second"')
        assert clients(client.site) == []
        assert client.key.split()[1] not in client.site.file(guest(client.site)).read_text()
        named.tool("client", "remove", "laptop")
        assert theirs.nix_build(derivation("by-name-again", features='"second"')).rc != 0
    finally:
        named.tool("uninstall", "--purge")
        named.file(named.config).unlink()
    client.site.assert_healthy(build=False)


# -- the host's store ---------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["on-a-command-line", "in-a-file"])
def test_a_collection_on_the_host_takes_no_input_from_a_client_s_build(client: Client, where: str) -> None:
    # given: an input that either machine has made, and no root of either holds
    site = client.site
    needed = (
        f'derivation {{ name = "needed-{where}"; system = "x86_64-linux"; builder = "/bin/sh"; '
        'args = [ "-c" "/bin/mkdir $out; echo late > $out/text; exit $?" ]; }'
    )
    script = f"/bin/sleep 6; /bin/cat ${{{needed}}}/text > $out; exit $?"
    given = {
        "on-a-command-line": f'args = [ "-c" "{script}" ];',
        "in-a-file": f'args = [ "-c" ". $scriptPath" ]; passAsFile = [ "script" ]; script = "{script}";',
    }
    expression = f'derivation {{ name = "late"; system = "x86_64-darwin"; builder = "/bin/sh"; {given[where]} }}'
    client.admit()
    site.set(store="overlay")
    site.tool("init")
    paths = {one.run("nix-build", "--no-out-link", "--expr", needed).stdout for one in (client.machine, site.machine)}
    path = paths.pop().strip()
    assert not paths
    client.configure(*JUMP)
    time.sleep(1)
    # when
    theirs = client.begin(expression)
    kept = f"{ROOTS}/running/{path.rpartition('/')[2]}"
    until(site, f"test -L {kept}", seconds=20)
    site.machine.run("nix-store", "--gc")
    # then
    output, complaint = theirs.communicate(timeout=60)
    assert theirs.returncode == 0, complaint
    assert b"copying 0 paths" in complaint
    assert client.machine.run("cat", output.decode().strip()).stdout == "late\n"
    assert site.machine.run("test", "-d", path, check=False).rc == 0
    # and when nothing uses it any more, it is given back
    until(site, f"! test -L {kept}")
    site.machine.run("nix-store", "--gc")
    assert site.machine.run("test", "-d", path, check=False).rc != 0


# -- keys ---------------------------------------------------------------------------------------------


@on_both
def test_removed_it_is_shut_out_at_once_and_its_builds_end_while_those_of_others_go_on(client: Client) -> None:
    # given: a build of the client's, one of the machine's own, and a connection that ssh keeps
    site = client.site
    client.admit()
    client.configure(*JUMP)
    started = site.machine.run("systemctl", "show", "--property=MainPID,NRestarts", UNIT).stdout
    alias = f"darling-builder-{HOST}"
    client.machine.run(
        "ssh", "-o", "ControlMaster=auto", "-o", "ControlPath=/run/kept", "-o", "ControlPersist=60", alias, "true"
    )
    theirs = client.begin(derivation("revoked", "/bin/sleep 300; echo > $out"))
    ours = site.machine.popen(
        "nix-build", "--no-out-link", "--max-jobs", "0", "--expr", derivation("kept", "/bin/sleep 8; echo > $out"),
        env={"NIX_REMOTE": "daemon"},
    )  # fmt: skip
    await_builds(site, "revoked", "kept")
    # when
    began = time.monotonic()
    said = site.tool("client", "remove", "laptop").stdout
    # then
    _, complaint = theirs.communicate(timeout=20)
    assert theirs.returncode != 0
    assert time.monotonic() - began < 10, complaint
    assert "2 connection(s) of it were ended" in said
    assert client.machine.run("ssh", "-o", "ControlPath=/run/kept", "-O", "check", alias, check=False).rc != 0
    again = client.machine.run("ssh", alias, "true", check=False)
    assert "Permission denied" in again.stderr
    _, complaint = ours.communicate(timeout=60)
    assert ours.returncode == 0, complaint
    assert site.machine.run("systemctl", "show", "--property=MainPID,NRestarts", UNIT).stdout == started
    # and nothing of the build is left in the guest
    assert "sleep 300" not in site.machine.run("ps", "-eo", "args").stdout


def test_one_whose_build_has_made_the_guest_s_list_its_own_is_shut_out_for_good(client: Client) -> None:
    # given: the directories above it are those of the guest's user, and so of every build
    site = client.site
    client.admit()
    client.configure(*JUMP)
    etc, key = AUTHORIZED.removeprefix(PREFIX).rpartition("/")[0], client.key.strip()
    taken = client.nix_build(
        derivation(
            "taking",
            f"/bin/mv {etc} {etc}.aside; /bin/mkdir {etc}; /bin/cp {etc}.aside/* {etc}/ || exit 1; "
            f"/bin/rm -f {etc}/authorized_keys; echo '{key}' > {etc}/authorized_keys; echo > $out; exit $?",
        )
    )
    assert taken.rc == 0, taken.stderr
    assert site.file(guest(site)).read_text() == f"{key}\n"
    alias = f"darling-builder-{HOST}"
    assert client.machine.run("ssh", alias, "true", check=False).rc == 0
    # when
    said = site.tool("client", "remove", "laptop").stdout
    # then
    assert "is let in no longer" in said
    assert "Permission denied" in client.machine.run("ssh", alias, "true", check=False).stderr
    site.tool("init")
    site.tool("restart")
    assert "Permission denied" in client.machine.run("ssh", alias, "true", check=False).stderr
    site.assert_healthy()


def await_builds(site: Site, *names: str) -> None:
    deadline, running = time.monotonic() + 30, ""
    while not all(name in running for name in names):
        assert time.monotonic() < deadline, f"only these run: {running}"
        running = " ".join(str(build["derivation"]) for build in site.status()[1]["builds"])


def test_clients_outlive_a_reset_and_new_keys_but_not_the_builder(client: Client) -> None:
    site = client.site
    client.admit()
    client.configure(*JUMP)
    # The user key of the machine itself is no affair of theirs.
    site.tool("keys", "rotate", "--user")
    assert_builds(client, "after-a-rotation")
    # The host key is: they have to be told.
    said = site.tool("keys", "rotate", "--host")
    assert "export" in said.stderr
    assert client.nix_build(derivation("with-the-old-key")).rc != 0
    client.configure(*JUMP)
    site.tool("reset", "--yes")
    assert_builds(client, "after-a-reset")
    assert site.tool("keys", "show").stdout.count("unknown") == 0
    site.tool("uninstall")
    site.tool("init")
    assert clients(site) == []
    assert client.key.split()[1] not in site.machine.run("cat", AUTHORIZED).stdout


def test_a_snapshot_from_before_lets_in_nobody_who_was_shut_out_since(client: Client) -> None:
    site = client.site
    client.admit()
    site.tool("snapshot", "create", "before")
    site.tool("client", "remove", "laptop")
    site.tool("snapshot", "restore", "before", timeout=300)
    assert client.key.split()[1] not in site.file(guest(site)).read_text()
    assert site.status()[0] == 0
    site.tool("snapshot", "delete", "before")


@pytest.mark.parametrize("kind", [("ecdsa", "-b", "384"), ("rsa", "-b", "2048")], ids=lambda kind: kind[0])
def test_other_keys_than_ed25519_do_as_well(client: Client, kind: tuple[str, ...]) -> None:
    client.machine.run("sh", "-c", f"rm -f {KEY}*; ssh-keygen -q -N '' -f {KEY} -t {' '.join(kind)}")
    client.admit()
    client.configure(*JUMP)
    assert_builds(client, f"by-{kind[0]}")


def test_a_key_that_was_slipped_in_is_drift_and_init_takes_it_out(client: Client) -> None:
    site = client.site
    client.admit()
    site.machine.run("sh", "-c", f"echo 'restrict {client.key.strip()}' | tee -a $1 >/dev/null", "sh", guest(site))
    site.machine.run("rm", f"{STATE}/clients/laptop.pub")
    assert "authorized_keys" in site.drift()
    site.tool("init")
    assert client.key.split()[1] not in site.file(guest(site)).read_text()
    assert site.status()[0] == 0


def guest(site: Site) -> str:
    """Name the file of the running guest."""
    pid = site.status()[1]["container"]
    return f"/proc/{pid}/root{AUTHORIZED}"


def test_of_what_a_client_is_let_in_to_do_nothing_is_but_what_nix_needs(client: Client) -> None:
    client.admit()
    client.site.set(listen=[HOST])
    client.site.tool("init")
    assert client.login(f"{USER}@{HOST}").stdout == "admitted\n"
    forwarded = client.machine.run(
        "ssh", "-F", "none", "-i", KEY, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
        "-o", "UserKnownHostsFile=/dev/null", "-p", "2222", "-W", "127.0.0.1:22", f"{USER}@{HOST}",
        check=False,
    )  # fmt: skip
    assert "SSH-2.0" not in forwarded.stdout
    assert OURS not in forwarded.stdout
