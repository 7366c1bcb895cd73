"""Release tarballs of Nix as upstream packs them, small enough for a unit test."""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.core.storepath import below
from tests.fakes.nar import registration
from tests.fakes.nix import add

NIX = "/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-2.31.2"
CACERT = "/nix/store/fr5s02kp885ig66grnrg4vmdwvx3s4rh-nss-cacert-3.1"
NIX_FILES: Mapping[str, str] = {"bin/nix-daemon": "daemon\n", "bin/nix-store": "store\n"}
CACERT_FILES: Mapping[str, str] = {"etc/ssl/certs/ca-bundle.crt": "the release's certificates\n"}


@dataclass(frozen=True, slots=True)
class Release:
    """A tarball to be; every field is a way to make another one than upstream's."""

    nix: str = NIX
    nix_files: Mapping[str, str] = field(default_factory=lambda: NIX_FILES)
    top: str = "nix-2.31.2-x86_64-darwin"
    install: str | None = f'#!/bin/sh\nnix="{NIX}"\ncacert="{CACERT}"\n'
    registered: bool = True
    tampered: bool = False
    extra: tuple[tarfile.TarInfo, ...] = ()

    def pack(self, directory: Path, *, compression: str = "xz") -> tuple[Path, str]:
        """Write the tarball to ``directory``; give its path and its SHA-256."""
        root = directory / "release"
        for path, files in ((self.nix, self.nix_files), (CACERT, CACERT_FILES)):
            add(root, path, files)
        reginfo = self._reginfo(root)
        if self.tampered:
            (below(root, CACERT) / "etc/ssl/certs/ca-bundle.crt").write_text("another's certificates\n")
        file = directory / f"{self.top}.tar.{compression}"
        with tarfile.open(file, f"w:{compression}") as archive:  # type: ignore[call-overload]
            archive.add(root / "nix/store", f"{self.top}/store")
            if self.install is not None:
                _add_text(archive, f"{self.top}/install", self.install)
            if self.registered:
                _add_text(archive, f"{self.top}/.reginfo", reginfo)
            for member in self.extra:
                archive.addfile(member)
        return file, hashlib.sha256(file.read_bytes()).hexdigest()

    def _reginfo(self, root: Path) -> str:
        nix = registration(self.nix, below(root, self.nix), (self.nix,))
        return nix + registration(CACERT, below(root, CACERT))


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text.encode())
    archive.addfile(member, io.BytesIO(text.encode()))
