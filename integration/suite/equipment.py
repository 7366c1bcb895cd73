"""What a machine of the suite consists of: a Debian, darlingbuilder, a Darling, and the guest's Nix."""

import argparse
import hashlib
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from integration.machine.cache import cached, digest
from integration.machine.guestnix import ReleaseTarball, release_tarball
from integration.machine.machine import Machine
from integration.machine.roots import Suite, debian_root
from integration.machine.wheel import wheel_layer
from integration.standin.compiler import source_text
from integration.standin.guestroot import guest_root
from integration.standin.install import install
from integration.suite.site import OTHER_TARBALL, TARBALL, Site


@dataclass(frozen=True, slots=True)
class Equipment:
    """What machines are made with: a real Darling's launcher, or the stand-in; and the guest's Nix."""

    darling: Path | None
    tarball: ReleaseTarball
    newer: ReleaseTarball
    # A stand-in without the defects that the compat shim corrects.
    mended: bool = False

    @classmethod
    def of(
        cls, darling: Path | None, nix_tarball: Path | None, newer: Path | None = None, *, mended: bool = False
    ) -> Self:
        """Take what is given, and make the rest."""
        return cls(
            darling,
            read_release(nix_tarball) if nix_tarball else release_tarball("trixie"),
            read_release(newer) if newer else release_tarball("sid"),
            mended,
        )

    @classmethod
    def from_command_line(cls, description: str | None) -> Self:
        """Read --darling and --nix-tarball."""
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--darling", type=Path, help="launcher of a real Darling; default: the stand-in")
        parser.add_argument("--nix-tarball", type=Path, help="release tarball of Nix that runs in that Darling")
        given = parser.parse_args()
        return cls.of(given.darling, given.nix_tarball)

    def machine(self, host: Suite, *, disks: Mapping[str, Path] | None = None) -> Machine:
        """Make a machine with the Debian ``host``, switched off; ``disks``: what of it lies elsewhere."""
        root = debian_root(host)
        layers = [wheel_layer(root)] + ([] if self.darling else [stand_in(mended=self.mended)])
        binds = _installation(self.darling) if self.darling else {}
        binds[TARBALL] = self.tarball.path
        binds[OTHER_TARBALL] = self.newer.path
        return Machine.create(root, layers=layers, binds=disks, read_only_binds=binds)

    def site(self, machine: Machine) -> Site:
        """Write the settings file that names what is there."""
        site = Site(machine, self.tarball)
        if self.darling:
            site.launcher = str(self.darling.resolve())
        return site.configure()


def read_release(path: Path) -> ReleaseTarball:
    """Describe a release tarball of Nix that lies on the disk."""
    with tarfile.open(path) as archive:
        member = next(member for member in archive if member.name.endswith("/install"))
        file = archive.extractfile(member)
        script = file.read().decode() if file else ""
    paths = dict(re.findall(r'^(nix|cacert)="([^"]*)"', script, re.MULTILINE))
    version = paths["nix"].rpartition("-")[2]
    return ReleaseTarball(path, hashlib.sha256(path.read_bytes()).hexdigest(), version, paths["nix"], paths["cacert"])


def stand_in(*, mended: bool) -> Path:
    """Return a layer for machines with a stand-in, of a stock Darling or of a mended one."""
    lower = guest_root()
    key = digest(lower.name, source_text(), "mended" if mended else "stock")
    return cached("standin", key, lambda directory: _install(directory, lower, mended=mended))


def _install(directory: Path, lower: Path, *, mended: bool) -> None:
    install(directory, lower, mended=mended)


def _installation(launcher: Path) -> dict[str, Path]:
    """Bind a real Darling at the path where it was installed: its programs know that path."""
    real = launcher.resolve()
    parts = (real, real.with_name("darlingserver"), real.parent.parent / "libexec" / "darling")
    return {str(path): path for path in parts if path.exists()}
