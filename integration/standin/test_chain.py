"""What the stand-in's defects break, and what cures it: a real sshd and a real Nix in the guest."""

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.conformance.launcher import Outcome, Prefix
from integration.conformance.login import IPV4, IPV6, STRAY, Login, serving
from integration.machine.cache import digest
from integration.machine.guestnix import ReleaseTarball, release_tarball
from integration.machine.roots import Suite

from .conftest import FILE, LINK, PROBE
from .test_defects import CORRECTIONS, EVERY, LIBRARIES, SHIM, read, shim, shim_without

UNPACK = """
    mkdir -p /nix/store /nix/var/nix /private/tmp/release && cd /private/tmp/release && tar xJf - &&
    cp -a "$1"/store/* /nix/store
"""

# What a builder's nix.conf in the guest says, for a Nix that finds none.
NIX_CONFIG = "system = x86_64-darwin\nsandbox = false\nbuild-users-group =\nsubstituters =\nfilter-syscalls = false\n"

# Its last word is bash's own: coreutils close their output before they end, at which Nix kills the builder.
DERIVATION = """derivation {{
  name = "{name}"; system = "x86_64-darwin"; builder = "/bin/bash"; args = [ "-c" '' {script}; exit 0 '' ];
}}"""
LINKING = "/bin/mkdir $out; /bin/ln -s nowhere $out/link"
PLAIN = "/bin/mkdir $out; echo content > $out/file"
PROBING = f"{{ {PROBE} {LINK} {FILE}; /usr/bin/env; }} > $out"


# Made when they are asked for: pytest only collects in a moment.
SHIMS: dict[str, Callable[[], bytes]] = {
    "none": lambda: b"",
    "whole": lambda: shim(*CORRECTIONS),
    "lchflags": lambda: shim("lchflags"),
    **{f"without-{name}": functools.partial(shim_without, name) for name in CORRECTIONS},
}


@pytest.fixture
def login(request: pytest.FixtureRequest, guest: Prefix) -> Iterator[Login]:
    """An sshd with a shim, which its sessions have too."""
    guest.write(SHIM, SHIMS[request.param]())
    with tempfile.TemporaryDirectory() as keys, serving(guest, Path(keys), (f"{LIBRARIES}={SHIM}",)) as login:
        yield login


def asked(login: Login, address: str) -> tuple[int, bytes]:
    target = f"{login.prefix.account.name}@{address}"
    outcome = login.call("ssh", *login.options(), target, "uname; exit 7")
    return outcome.rc, outcome.out


@pytest.mark.parametrize("login", ["none"], indirect=True)
def test_without_a_shim_ipv4_is_dead_and_sessions_are_spoilt(login: Login) -> None:
    assert asked(login, IPV4) == (255, b"")
    assert asked(login, IPV6) == (7, STRAY + b"Darwin\n")


@pytest.mark.parametrize("login", ["whole"], indirect=True)
def test_with_the_shim_both_are_right(login: Login) -> None:
    assert asked(login, IPV4) == (7, b"Darwin\n")
    assert asked(login, IPV6) == (7, b"Darwin\n")


@pytest.mark.parametrize("login", ["without-getsockopt"], indirect=True)
def test_a_forgotten_getsockopt_leaves_ipv4_dead(login: Login) -> None:
    assert asked(login, IPV4) == (255, b"")
    assert asked(login, IPV6) == (7, b"Darwin\n")


@pytest.mark.parametrize("login", ["without-proc_pidinfo"], indirect=True)
def test_a_forgotten_proc_pidinfo_leaves_the_stray_lines(login: Login) -> None:
    assert asked(login, IPV4) == (7, STRAY + b"Darwin\n")


@pytest.fixture(scope="module", params=["trixie", "sid"])
def nix(request: pytest.FixtureRequest, guest: Prefix) -> ReleaseTarball:
    """A Nix in the guest; the file system of the container is its user's, and so is the store."""
    suite: Suite = request.param
    release = release_tarball(suite)
    unpacked = guest.script(UNPACK, release.name, stdin=release.path.read_bytes())
    assert unpacked.rc == 0, unpacked
    registration = guest.script(f"cat /private/tmp/release/{release.name}/.reginfo").out
    outcome = call(guest, release, "none", "nix-store", "--load-db", stdin=registration)
    assert outcome.rc == 0, outcome
    return release


def call(guest: Prefix, nix: ReleaseTarball, name: str, program: str, *words: str, stdin: bytes = b"") -> Outcome:
    """Run a program of the guest's Nix with a shim."""
    guest.write(SHIM, SHIMS[name]())
    variables = (f"NIX_CONFIG={NIX_CONFIG}", "HOME=/private/tmp", f"{LIBRARIES}={SHIM}")
    return guest.shell("env", *variables, f"{nix.nix}/bin/{program}", *words, stdin=stdin)


def build(guest: Prefix, nix: ReleaseTarball, name: str, script: str) -> Outcome:
    expression = DERIVATION.format(name=f"{nix.version}-{digest(script, name)}", script=script)
    return call(guest, nix, name, "nix-build", "--no-out-link", "--expr", expression)


@pytest.mark.parametrize("name", ["none", "without-lchflags"])
def test_an_output_with_a_symlink_cannot_be_registered(guest: Prefix, nix: ReleaseTarball, name: str) -> None:
    outcome = build(guest, nix, name, LINKING)
    assert outcome.rc != 0
    assert "Invalid argument" in outcome.said
    assert build(guest, nix, name, PLAIN).rc == 0


@pytest.mark.parametrize("name", ["lchflags", "whole"])
def test_with_the_correction_it_can(guest: Prefix, nix: ReleaseTarball, name: str) -> None:
    outcome = build(guest, nix, name, LINKING)
    assert outcome.rc == 0, outcome
    assert guest.script(f"readlink {outcome.text.splitlines()[-1]}/link").text == "nowhere\n"


def test_a_symlink_that_is_added_cannot_be_registered_without_it(guest: Prefix, nix: ReleaseTarball) -> None:
    guest.script(f"mkdir -p /private/tmp/tree; ln -sfn {nix.version} /private/tmp/tree/link")
    assert "Invalid argument" in call(guest, nix, "none", "nix-store", "--add", "/private/tmp/tree").said
    outcome = call(guest, nix, "lchflags", "nix-store", "--add", "/private/tmp/tree")
    assert outcome.rc == 0, outcome


def test_a_build_has_the_shim_and_does_not_see_it(guest: Prefix, nix: ReleaseTarball) -> None:
    outcome = build(guest, nix, "whole", PROBING)
    assert outcome.rc == 0, outcome
    told = guest.script(f"cat {outcome.text.splitlines()[-1]}").text
    assert read(told) == set()
    assert "NIX_BUILD_TOP=" in told
    assert "DYLD" not in told


def test_a_build_has_no_shim_without_spawn(guest: Prefix, nix: ReleaseTarball) -> None:
    outcome = build(guest, nix, "without-spawn", PROBING)
    assert read(guest.script(f"cat {outcome.text.splitlines()[-1]}").text) == EVERY
