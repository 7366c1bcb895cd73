import hashlib
import tarfile
from collections.abc import Iterator

import pytest

from integration.machine import SUITES, Machine, debian_root
from integration.machine.guestnix import ReleaseTarball, load_into_host_store, release_tarball

VERSIONS = {"trixie": "2.26.3", "sid": "2.34.8"}

CONF = """\
build-users-group =
sandbox = false
system = x86_64-darwin
substituters =
# Unless /nix/var/nix exists, a Nix without rights on it takes ~/.local/share/nix/root for its store.
store = local
experimental-features = nix-command
"""

DARWIN = """\
derivation {
  name = "greeting";
  system = "x86_64-darwin";
  builder = "/bin/sh";
  args = [ "-c" "/bin/mkdir $out; /bin/ln -s nowhere $out/link; echo built > $out/file" ];
}
"""


@pytest.fixture(scope="module", params=SUITES)
def tarball(request: pytest.FixtureRequest) -> ReleaseTarball:
    return release_tarball(request.param)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine.create(debian_root("trixie")) as machine:
        machine.boot()
        yield machine
    assert machine.leftovers() == []


def test_a_release_is_packed_as_upstreams(tarball: ReleaseTarball) -> None:
    name = f"nix-{tarball.version}-x86_64-darwin"
    assert tarball.path.name == f"{name}.tar.xz"
    with tarfile.open(tarball.path) as archive:
        members = {member.name: member for member in archive}
        install = archive.extractfile(f"{name}/install")
        assert install is not None
        text = install.read().decode()
    assert {name.split("/")[0] for name in members} == {name}
    assert f'\nnix="{tarball.nix}"\n' in text
    assert f'\ncacert="{tarball.cacert}"\n' in text
    inside = f"{name}/store/{tarball.nix.removeprefix('/nix/store/')}"
    assert {f"{inside}/bin/{tool}" for tool in ("nix", "nix-store", "nix-daemon", "nix-build")} <= members.keys()
    assert f"{name}/store/{tarball.cacert.removeprefix('/nix/store/')}/etc/ssl/certs/ca-bundle.crt" in members
    assert f"{name}/.reginfo" in members


def test_its_hash_is_the_files_and_stands_beside_it(tarball: ReleaseTarball) -> None:
    assert hashlib.sha256(tarball.path.read_bytes()).hexdigest() == tarball.sha256
    assert tarball.path.with_name(f"{tarball.path.name}.sha256").read_text() == tarball.sha256


def test_the_versions_are_the_two_of_the_issue() -> None:
    assert {suite: release_tarball(suite).version for suite in SUITES} == VERSIONS


def test_it_runs_where_there_is_nothing_but_nix(machine: Machine, tarball: ReleaseTarball) -> None:
    bare = f"/srv/bare-{tarball.version}"
    _unpack(machine, tarball, bare)
    machine.run("mkdir", f"{bare}/proc")
    script = f"mount --bind /proc {bare}/proc; exec chroot {bare} {tarball.nix}/bin/nix --version"
    said = machine.run("unshare", "--mount", "sh", "-c", script).stdout
    assert said.split()[-1] == tarball.version


def test_an_unprivileged_user_builds_a_darwin_derivation_with_it(machine: Machine, tarball: ReleaseTarball) -> None:
    guest, user = f"/srv/guest-{tarball.version}", f"u{tarball.version.replace('.', '')}"
    machine.run("useradd", "--create-home", user)
    _unpack(machine, tarball, guest)
    machine.run("chown", "--recursive", f"{user}:", f"{guest}/nix")
    environment = {"NIX_CONFIG": CONF, "PATH": f"{tarball.nix}/bin", "HOME": f"/home/{user}", "NIX_CONF_DIR": "/none"}
    variables = [f"{key}={value}" for key, value in environment.items()]

    def inside(*argv: str, stdin: str | None = None) -> str:
        return machine.run(
            "unshare", "--mount", "sh", "-c", f'mount --bind {guest}/nix /nix; exec "$@"', "sh",
            "setpriv", "--reuid", user, "--clear-groups", "env", "-i", *variables, *argv,
            stdin=stdin,
        ).stdout  # fmt: skip

    reginfo = machine.path(f"{guest}/reginfo").read_text()
    inside("nix-store", "--init")
    inside("nix-store", "--load-db", stdin=reginfo)
    inside("nix-store", "--verify", "--check-contents")
    output = inside("nix-build", "--expr", DARWIN, "--no-out-link").strip()

    assert machine.path(f"{guest}{output}/file").read_text() == "built\n"
    assert machine.path(f"{guest}{output}/link").is_symlink()
    assert inside("nix-store", "--query", "--references", tarball.nix).split() == [tarball.nix]


def test_the_hosts_nix_can_copy_it_into_a_guest(machine: Machine, tarball: ReleaseTarball) -> None:
    load_into_host_store(machine, tarball)
    target = f"/var/lib/copied-{tarball.version}"
    machine.run("nix", "copy", "--no-check-sigs", "--to", f"local?root={target}", tarball.nix, tarball.cacert)
    assert machine.path(f"{target}{tarball.nix}/bin/nix-daemon").is_symlink()
    assert machine.path(f"{target}{tarball.cacert}/etc/ssl/certs/ca-bundle.crt").is_file()


def _unpack(machine: Machine, tarball: ReleaseTarball, guest: str) -> None:
    machine.run("mkdir", "--parents", f"{guest}/nix")
    machine.run(
        "tar", "--extract", "--xz", "--strip-components=1", "--directory", f"{guest}/nix",
        stdin=tarball.path.read_bytes(),
    )  # fmt: skip
    machine.run("mv", f"{guest}/nix/.reginfo", f"{guest}/reginfo")
