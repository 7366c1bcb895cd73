"""Bad input on a machine with a builder that runs."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

from integration.machine.commands import run
from integration.suite import breakage
from integration.suite.badinput.case import CONFIGURATION, FAILED, KEY, NO_BUS, NO_PYSTEMD, PREREQUISITE, Bad
from integration.suite.site import STATE, UNIT, Site
from tests.fakes.release import Release

HOST_KEY = f"{STATE}/keys/ssh_host_ed25519_key"
MARKER = f"{STATE}/builder.json"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
ALIAS = "/etc/ssh/ssh_config.d/darling-builder.conf"
UNKNOWN = "/nix/store/00000000000000000000000000000000-nix-2.31.2"
WRONG = "/srv/wrong.tar.xz"


@cache
def private_key(*kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        run(("ssh-keygen", "-q", "-C", "somebody", "-f", f"{directory}/key", *kind))
        return (Path(directory) / "key").read_bytes()


def key(what: str, make: Callable[[], str | bytes], *says: str, path: str = KEY) -> Bad:
    """Somebody's file where a private key of ours is; it is made when it is needed."""

    def broken(site: Site) -> AbstractContextManager[object]:
        return breakage.content(path, make())(site)

    return Bad(what, FAILED, (path, *says), broken=broken)


def marker(what: str, change: Callable[[dict[str, Any]], object], *says: str, command: str = "status") -> Bad:
    def edit(raw: bytes) -> bytes:
        content = json.loads(raw)
        change(content)
        return json.dumps(content).encode()

    return Bad(what, FAILED, (MARKER, *says), command, breakage.edited(MARKER, edit))


def not_a_marker(what: str, raw: bytes, *, command: str) -> Bad:
    says = (f"{MARKER} is not a marker", "restore it")
    return Bad(what, FAILED, says, command, breakage.content(MARKER, raw))


def tarball(what: str, release: Release, *says: str, code: int = CONFIGURATION, cut: int | None = None) -> Bad:
    """A release tarball that is wrong although its hash is right."""

    def broken(site: Site) -> AbstractContextManager[object]:
        with tempfile.TemporaryDirectory() as directory:
            raw = release.pack(Path(directory))[0].read_bytes()[:cut]
        named = breakage.settings(nix__tarball=WRONG, nix__sha256=hashlib.sha256(raw).hexdigest())
        return breakage.together(breakage.content(WRONG, raw), named)(site)

    return Bad(what, code, says, broken=broken)


def source(what: str, code: int, *says: str, **wrong: str) -> Bad:
    return Bad(what, code, says, broken=breakage.settings(**wrong))


def foreign(what: str, path: str, text: str = "precious = 1\n") -> Bad:
    return Bad(what, FAILED, (f"{path} was not written by darlingbuilder", "move it away"),
               broken=breakage.content(path, text))  # fmt: skip


def fixed(name: str, value: str) -> Bad:
    return Bad(
        f"another {name}", CONFIGURATION, (f"{name} cannot change from", "uninstall"), f"init --{name} {value}"
    )


TABLE = (
    fixed("user", "somebody"),
    fixed("prefix", "/var/lib/else/prefix"),
    fixed("state", "/var/lib/else"),
    # The marker.
    not_a_marker("garbage as marker", b"\xff\xfe\0", command="status"),
    not_a_marker("an empty marker", b"", command="init"),
    not_a_marker("a list as marker", b"[]", command="start"),
    not_a_marker("an endless nesting as marker", b"[" * 100_000, command="test"),
    Bad("a directory as marker", FAILED, (MARKER, "directory"), "uninstall", breakage.directory(MARKER)),
    marker("a marker without settings", lambda content: content.pop("settings"), "settings", command="uninstall"),
    marker("a marker of other types", lambda content: content.update(settings=[1]), "is not a marker"),
    marker("a marker with a wrong setting", lambda content: content["settings"].update(port="x"), "port"),
    marker("a marker of a newer schema", lambda content: content.update(schema=99, tool_version="9.9"),
           "9.9", "schema 99", "newer one", command="init"),
    marker("a marker that names the whole machine", lambda content: content["settings"].update(state="/"),
           "is not a marker", command="uninstall"),
    marker("a marker that names the home of all", lambda content: content["settings"].update(prefix="/home"),
           "is not a marker", command="uninstall --purge"),
    # Keys.
    key("a key with a passphrase", lambda: private_key("-t", "ed25519", "-N", "secret"), "passphrase", "replaced"),
    key("a key of another kind", lambda: private_key("-t", "ecdsa", "-N", ""), "ecdsa", "ssh-keygen -t ed25519"),
    key("an RSA key", lambda: private_key("-t", "rsa", "-b", "1024", "-N", ""), "ssh-rsa", "ssh-keygen -t ed25519"),
    key("a key in another format", lambda: private_key("-t", "rsa", "-b", "1024", "-m", "PEM", "-N", ""),
        "another format"),
    key("garbage as key", lambda: b"\x7fELF", "is not a private key"),
    key("an empty key", lambda: b"", "is not a private key"),
    key("half a key", lambda: private_key("-t", "ed25519", "-N", "")[:200], "cut short"),
    key("garbage as host key", lambda: "garbage\n", "is not a private key", path=HOST_KEY),
    Bad("a directory as key", FAILED, (KEY, "a directory"), broken=breakage.directory(KEY)),
    Bad("a key that leads nowhere", FAILED, (KEY, "leads nowhere"), broken=breakage.link(KEY, "/nowhere/key")),
    Bad("a directory as public half", FAILED, (f"{KEY}.pub", "directory"), broken=breakage.directory(f"{KEY}.pub")),
    Bad("a link as public half", FAILED, (f"{KEY}.pub", "symbolic link", "NixOS"),
        broken=breakage.link(f"{KEY}.pub", "/etc/hostname")),
    # The guest's Nix.
    source("a tarball that is missing", CONFIGURATION, "/srv/nothing.tar.xz", "No such file",
           nix__tarball="/srv/nothing.tar.xz", nix__sha256="0" * 64),
    source("a directory as tarball", CONFIGURATION, "Is a directory", nix__tarball="/srv", nix__sha256="0" * 64),
    source("a tarball with another hash", CONFIGURATION, "has the SHA-256", "fetch it again", nix__sha256="0" * 64),
    tarball("half a tarball", Release(), "damaged", cut=300),
    tarball("an empty tarball", Release(), "no tar archive", cut=0),
    tarball("a tarball of something else", Release(top="hello-2.12"), "is no release of Nix"),
    tarball("a tarball for Linux", Release(top="nix-2.31.2-x86_64-linux"), "x86_64-linux", "x86_64-darwin"),
    tarball("a tarball without install", Release(install=None), "holds no install"),
    tarball("a tarball without registration", Release(registered=False), "holds no .reginfo"),
    tarball("a tarball that names no Nix", Release(install="#!/bin/sh\n"), "no Nix"),
    tarball("a tarball without a daemon", Release(nix_files={"bin/nix-store": "x"}), "nix-daemon"),
    tarball("a tarball that was tampered with", Release(tampered=True), "has changed", code=FAILED),
    source("a Nix that nobody has", FAILED, UNKNOWN, "substituters", "nix.tarball",
           nix__tarball="", nix__sha256="", nix__package=UNKNOWN),
    source("certificates that nobody has", FAILED, UNKNOWN, "fetching", nix__cacert=UNKNOWN),
    # What is somebody else's.
    foreign("a foreign unit", UNIT_FILE, "[Service]\nExecStart=/bin/precious\n"),
    foreign("a foreign alias", ALIAS, "Host precious\n"),
    foreign("a foreign machines file", "/etc/nix/darling-builder.machines", "ssh://precious x86_64-linux\n"),
    foreign("foreign known hosts", f"{STATE}/known_hosts", "precious ssh-ed25519 AAAA\n"),
    Bad("a link as unit", FAILED, (UNIT_FILE, "move it away"), broken=breakage.link(UNIT_FILE, "/etc/fstab")),
    Bad("NixOS's nix.conf", FAILED, ("/etc/nix/nix.conf is a link", "register = false"),
        broken=breakage.together(breakage.content("/etc/static-nix.conf", "substituters =\n"),
                                 breakage.link("/etc/nix/nix.conf", "/etc/static-nix.conf"))),
    Bad("an ssh_config that includes nothing", PREREQUISITE, ("/etc/ssh/ssh_config lacks", "first line: Include"),
        broken=breakage.content("/etc/ssh/ssh_config", "Host *\n    SendEnv LANG\n")),
    Bad("a Nix that is told of other builders", PREREQUISITE, ("setting builders", "NIX_CONFIG"),
        env={"NIX_CONFIG": "builders ="}),
    # systemd.
    Bad("start without pystemd", PREREQUISITE, ("pystemd cannot be imported",), "start", NO_PYSTEMD),
    *(Bad(f"{verb} without a bus", FAILED, ("D-Bus", "is-system-running"), verb, env=NO_BUS)
      for verb in ("start", "stop", "restart")),
)  # fmt: skip
