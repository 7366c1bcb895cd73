"""The guest's Nix: in its store, in its profile, configured; put there by the host's Nix without a guest call."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from darlingbuilder.adapters import accounts
from darlingbuilder.adapters.process import Account
from darlingbuilder.adapters.world import World
from darlingbuilder.core import managed
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ForeignFileError, PrerequisiteError
from darlingbuilder.core.managed import ManagedFile
from darlingbuilder.core.paths import CA_BUNDLE, NIX_CONF, NIX_STORE_CONF, STORE, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import guestconf
from darlingbuilder.steps.certificates import Certificates
from darlingbuilder.steps.nixsource import Source
from darlingbuilder.steps.pristine import Pristine
from darlingbuilder.steps.profile import Profile, holds_nix, nix_tree, profile_of
from darlingbuilder.steps.volume import Volume

_WHAT = "the guest's Nix"


@dataclass(frozen=True, slots=True)
class Nix:
    """The wanted Nix leads the guest's profile, beside its certificates and its nix.conf.

    A previous generation that ``serve`` has not settled yet is no drift; one that it fell back to is.
    """

    settings: Settings
    world: World
    name: ClassVar[str] = "nix"

    def check(self) -> list[Drift]:
        """See Step. What there is of a Nix stays, and is not looked at, where the guest has none of its own."""
        if not self.settings.guest_nix:
            return []
        return [
            *self._volume.check(),
            *self._check_store(),
            *self._pristine.check(),
            *self._certificates.check(),
            *self._check_configuration(),
        ]

    def apply(self) -> None:
        """See Step. The Nix before stays, as the profile's previous generation."""
        if not self.settings.guest_nix:
            return
        account = accounts.required(self.world.accounts, self.settings.user)
        # It may have to stop the container, through which the guest's files are reached.
        self._volume.apply()
        configuration = self._configuration()
        self._own(account)
        if self.settings.ephemeral:
            self._source.keep()
        if not self._is_installed(account):
            self._source.install(account)
        # A tarball names its Nix only now.
        self._profile.select(self._source.wanted() or "")
        self._certificates.apply()
        managed.converge([configuration])
        if not self.settings.ephemeral:
            self._pristine.remove()

    def revert(self) -> None:
        """See Step."""
        self._refuse_the_hosts()
        self._source.sweep()
        self._pristine.remove()
        self._volume.revert()
        self._empty(Paths(self.settings).nix)
        self.world.host.remove_if_empty(Paths(self.settings).nix)
        managed.withdraw(self.world.darling.files(), (NIX_CONF, NIX_STORE_CONF, CA_BUNDLE))

    @property
    def _source(self) -> Source:
        return Source(self.settings, self.world)

    @property
    def _volume(self) -> Volume:
        return Volume(self.settings, self.world)

    @property
    def _pristine(self) -> Pristine:
        return Pristine(self.settings, self.world)

    @property
    def _certificates(self) -> Certificates:
        return Certificates(self.settings, self.world)

    @property
    def _profile(self) -> Profile:
        return profile_of(self.settings, self.world)

    def _check_store(self) -> list[Drift]:
        path = Paths(self.settings).nix
        found, account = self.world.host.attributes(path), self.world.accounts.find(self.settings.user)
        if found is None:
            return [Drift(str(path), "absent")]
        if account is None or found.owner != account.owner:
            return [
                Drift(str(path), f"does not belong to {self.settings.user}, whose Nix must be able to write there")
            ]
        return self._check_profile() or self._check_installed(account)

    def _check_profile(self) -> list[Drift]:
        current, wanted = self._profile.current(), self._source.wanted()
        if current is None:
            return [Drift(_WHAT, "absent")]
        if current.path == wanted:
            return []
        if wanted is None:
            return [Drift(_WHAT, f"is {current.path}, should be that of {self.settings.nix.tarball}")]
        unanswered = self._profile.unanswered()
        why = ", which failed its trial" if unanswered and unanswered.path == wanted else ""
        return [Drift(_WHAT, f"is {current.path}, should be {wanted}{why}")]

    def _check_installed(self, account: Account) -> list[Drift]:
        if self._is_installed(account):
            return []
        if not self._source.cacert_is_right():
            return [
                Drift("the guest's cacert", f"is {self._source.cacert() or 'absent'}, or a part of it is missing")
            ]
        return [Drift(_WHAT, f"{self._source.wanted()} is not whole and valid in the guest's store")]

    def _is_installed(self, account: Account) -> bool:
        wanted = self._source.wanted()
        if not wanted or not holds_nix(nix_tree(self.settings, self.world), wanted):
            return False
        root = self.world.host.root / Paths(self.settings).state.relative_to("/")
        try:
            return self._source.cacert_is_right() and self.world.nix.has(root, wanted, account=account)
        except PrerequisiteError:
            return False  # a host that has lost its Nix cannot say; «apply» will

    def _own(self, account: Account) -> None:
        """See that <state>/nix is a directory of the service user's."""
        self._refuse_the_hosts()
        path = Paths(self.settings).nix
        found = self.world.host.attributes(path)
        if found and found.kind is not Kind.DIRECTORY:
            raise ForeignFileError(
                f"{path} is no directory of its own",
                hint="move it away; to keep it on another disk, mount that there",
            )
        if found and found.owner != account.owner:
            # A store of somebody else: Nix could change nothing in it. What it held is built or fetched again.
            self._empty(path)
        self.world.host.make_directory(path, mode=0o755, owner=account.owner)

    def _refuse_the_hosts(self) -> None:
        """Refuse to empty or give away what is the host's own store by another name: a bind mount, say."""
        ours, theirs = (self.world.host.real(path) for path in (Paths(self.settings).nix, STORE.parent))
        for name in (".", STORE.name):
            if (ours / name).exists() and (theirs / name).exists() and (ours / name).samefile(theirs / name):
                raise ForeignFileError(
                    f"{ours / name} is the host's own {theirs / name}",
                    hint="unmount it there; «store» shares the host's store by an overlay",
                )

    def _empty(self, path: Path) -> None:
        # Not the directory itself: it may be where another disk is mounted.
        for name in self.world.host.names(path):
            self.world.host.remove(path / name)

    def _check_configuration(self) -> list[Drift]:
        try:
            return managed.check([self._configuration()])
        except PrerequisiteError:
            return [Drift("the host's Nix", "absent")]

    def _configuration(self) -> ManagedFile:
        text = guestconf.text(self.settings, self.world.nix.settings())
        return ManagedFile(self.world.darling.files(), NIX_CONF, text)
