"""The guest's CA certificates: always at one place, a copy of those of its Nix or of the host's."""

from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.managed import HEADER
from darlingbuilder.core.paths import CA_BUNDLE
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.nixsource import BUNDLE, Source
from darlingbuilder.steps.profile import in_tree, nix_tree

# Debian and NixOS, SUSE, Fedora, Alpine and the BSDs.
_OF_HOSTS = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/ssl/certs/ca-bundle.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Certificates:
    """A copy, not a link: it is there before /nix is, and outlives a garbage collection in the guest."""

    settings: Settings
    world: World

    def check(self) -> list[Drift]:
        """List how the copy differs from its source."""
        files, what = self.world.darling.files(), str(CA_BUNDLE)
        actual, attributes = files.read(CA_BUNDLE), files.attributes(CA_BUNDLE)
        if actual is None or attributes is None:
            return [Drift(what, "absent")]
        wanted = self._wanted()
        if wanted is not None and actual != wanted:
            return [Drift(what, "differs from the certificates of the guest's Nix, or else of the host")]
        if (attributes.mode, attributes.owner) != (_MODE, ROOT):
            return [Drift(what, f"has not mode {_MODE:04o}, or does not belong to root")]
        return []

    def apply(self) -> None:
        """Make the copy. Raises PrerequisiteError if there is nothing to copy."""
        if not self.check():
            return
        wanted = self._wanted()
        if wanted is None:
            raise PrerequisiteError(
                f"there are no CA certificates for the guest, neither in its Nix nor in {_OF_HOSTS[0]}",
                hint="install the host's ca-certificates, or set nix.cacert to the store path of nixpkgs' cacert",
            )
        self.world.darling.files().write(CA_BUNDLE, wanted, mode=_MODE, owner=ROOT)

    def _wanted(self) -> bytes | None:
        certificates = self._certificates()
        return None if certificates is None else f"{HEADER}\n".encode() + certificates

    def _certificates(self) -> bytes | None:
        cacert = Source(self.settings, self.world).cacert()
        if cacert:
            found = nix_tree(self.settings, self.world).read(in_tree(cacert) / BUNDLE)
            if found is not None:
                return found
        return next((found for path in _OF_HOSTS if (found := self.world.host.read(path))), None)
