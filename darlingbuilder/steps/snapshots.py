"""Snapshots of prefix and store: kept whole, listed, and put in the builder's place as a whole."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from darlingbuilder import __version__
from darlingbuilder.adapters import accounts, archive, volumes
from darlingbuilder.adapters.archive import Way
from darlingbuilder.adapters.world import World
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.errors import BuilderError, CommandError, ForeignFileError, UsageError
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import ROOT, Tree
from darlingbuilder.steps.exchange import Exchange

SCHEMA = 1
_MODE = 0o700
_UNFINISHED = ".new-"
_NO_ROOM = 2**20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]{0,63}")
_PREFIX, _STORE = "prefix", "nix-"
_MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot holds. ``created``: epoch seconds; ``size``: bytes on the disk; ``parts``: its directories.

    ``shared``: whether its store's database may name paths that lie in the host's store.
    """

    schema: int
    tool_version: str
    created: float
    way: Way
    uid: int
    gid: int
    size: int
    parts: list[str]
    shared: bool = False


class _Author(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest of any version says of the tool that wrote it."""

    schema: int
    tool_version: str


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The directories in <state>/snapshots; one counts once it has its name. The builder is down meanwhile."""

    settings: Settings
    world: World

    def manifests(self) -> dict[str, Manifest | None]:
        """Give what every snapshot says of itself; None for one that is of another schema, or damaged."""
        names = [name for name in self.world.host.names(self._paths.snapshots) if _NAME.fullmatch(name)]
        return {name: self._readable(name) for name in names}

    def refuse_taken(self, name: str) -> None:
        """Raise BuilderError if there is a snapshot ``name``, UsageError if none can be called so."""
        if self.world.host.attributes(self._place(name)):
            raise BuilderError(
                f"there is a snapshot {name} already", hint=f"choose another name, or: snapshot delete {name}"
            )

    def create(self, name: str) -> Manifest:
        """Keep prefix and store as ``name``, whole or not at all."""
        self.refuse_taken(name)
        host, unfinished = self.world.host, self._paths.snapshots / f"{_UNFINISHED}{name}"
        self.sweep()
        host.make_directory(self._paths.snapshots, mode=_MODE, owner=ROOT)
        host.make_directory(unfinished, mode=_MODE, owner=ROOT)
        try:
            manifest = self._keep(host.real(unfinished))
            host.write(unfinished / _MANIFEST, msgspec.json.encode(manifest), mode=0o600, owner=ROOT)
            host.rename(unfinished, self._place(name))
        finally:
            self.sweep()
        return manifest

    def manifest(self, name: str) -> Manifest:
        """Read what the snapshot ``name`` says of itself. Raises BuilderError if it cannot be put in place here."""
        content = self.world.host.read(self._place(name) / _MANIFEST)
        if content is None:
            raise BuilderError(
                f"there is no snapshot {name}", hint="see which there are: darlingbuilder snapshot list"
            )
        try:
            author = msgspec.json.decode(content, type=_Author)
            if author.schema != SCHEMA:
                raise ForeignFileError(
                    f"the snapshot {name} was made by darlingbuilder {author.tool_version} (schema {author.schema})",
                    hint=f"this is {__version__}, which knows schema {SCHEMA}; restore it with that version",
                )
            return msgspec.json.decode(content, type=Manifest)
        except msgspec.DecodeError as error:
            raise ForeignFileError(
                f"the snapshot {name} is damaged: {error}", hint=f"darlingbuilder snapshot delete {name}"
            ) from error

    def restore(self, name: str) -> None:
        """Put prefix and store of the snapshot ``name`` in the place of what is there: all of it, or nothing."""
        manifest = self.manifest(name)
        self._refuse_other_owner(name, manifest)
        exchange = Exchange(self.settings, self.world)
        exchange.finish()
        moves = self._made_ready(name, manifest, exchange)
        if manifest.shared:
            moves |= self._traces(exchange)
        others = set(exchange.store_entries()) - set(moves.values())
        exchange.begin(moves, [self._paths.workdir, *sorted(others)])

    def delete(self, name: str) -> None:
        """Remove the snapshot ``name``. Raises BuilderError if there is none."""
        if self.world.host.attributes(self._place(name)) is None:
            raise BuilderError(
                f"there is no snapshot {name}", hint="see which there are: darlingbuilder snapshot list"
            )
        # First its name: what is half removed is no snapshot.
        going = self._paths.snapshots / f"{_UNFINISHED}{name}"
        self.world.host.remove(going)
        self.world.host.rename(self._place(name), going)
        self.sweep()

    def sweep(self) -> None:
        """Remove what was interrupted, and the directory of the snapshots if there is none."""
        for name in self.world.host.names(self._paths.snapshots):
            if name.startswith(_UNFINISHED):
                self.world.host.remove(self._paths.snapshots / name)
        self.world.host.remove_if_empty(self._paths.snapshots)

    @property
    def _paths(self) -> Paths:
        return Paths(self.settings)

    def _place(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for a snapshot", hint="take letters, digits, «.», «_», «:», «-»; 64 at most"
            )
        return self._paths.snapshots / name

    def _readable(self, name: str) -> Manifest | None:
        try:
            return self.manifest(name)
        except BuilderError:
            return None

    def _keep(self, directory: Path) -> Manifest:
        owner = accounts.required(self.world.accounts, self.settings.user).owner
        parts, real = self._parts(), self.world.host.real
        ways = {archive.way_between(real(place.parent), directory) for place in parts.values()}
        way = Way.REFLINK if ways == {Way.REFLINK} else Way.TAR
        for part, place in parts.items():
            archive.keep(real(place), directory / part, way)
        return Manifest(
            schema=SCHEMA, tool_version=__version__, created=time.time(), way=way, uid=owner.uid, gid=owner.gid,
            size=archive.size(directory), parts=list(parts), shared=self._shares(),
        )  # fmt: skip

    def _parts(self) -> Mapping[str, Path]:
        """Give what a snapshot consists of, by the names that it has there."""
        host, exchange = self.world.host, Exchange(self.settings, self.world)
        # What begins with a dot is the overlay's work directory, which is made at every start.
        entries = [path for path in exchange.store_entries() if not path.name.startswith(".")]
        places = {_PREFIX: self._paths.prefix, **{f"{_STORE}{path.name}": path for path in entries}}
        return {part: place for part, place in places.items() if _is_directory(host, place)}

    def _made_ready(self, name: str, manifest: Manifest, exchange: Exchange) -> dict[Path, Path]:
        moves = {}
        for part in manifest.parts:
            place = self._paths.prefix if part == _PREFIX else self._paths.nix / part.removeprefix(_STORE)
            ready = exchange.room_for(place)
            self._bring_back(name, part, ready, manifest.way)
            moves[ready] = place
        return moves

    def _bring_back(self, name: str, part: str, ready: Path, way: Way) -> None:
        real = self.world.host.real
        try:
            archive.bring_back(real(self._place(name) / part), real(ready), way)
        except CommandError as error:
            # tar goes on with other files, and its last words say what it could not write, rarely why.
            if volumes.free(real(ready.parent)) > _NO_ROOM:
                raise
            raise BuilderError(
                f"there is no room for the snapshot {name} beside what is there: {error}",
                hint="raise store_size if that is set, or do away with what is there: darlingbuilder reset",
            ) from error

    def _shares(self) -> bool:
        """Whether the store is laid over the host's, or was until its next start."""
        return self.settings.shares_store or self.world.host.attributes(self.settings.names.host_roots) is not None

    def _traces(self, exchange: Exchange) -> dict[Path, Path]:
        """Leave what tells of a shared store: by it «init» takes back what is shared no more."""
        host, work = self.world.host, self._paths.overlay_work
        host.make_directory(self.settings.names.host_roots)
        ready = exchange.room_for(work)
        host.make_directory(ready, mode=_MODE, owner=ROOT)
        return {ready: work}

    def _refuse_other_owner(self, name: str, manifest: Manifest) -> None:
        owner = accounts.required(self.world.accounts, self.settings.user).owner
        if owner != Owner(manifest.uid, manifest.gid):
            raise BuilderError(
                f"the snapshot {name} belongs to user {manifest.uid}:{manifest.gid}, the builder's is {owner.uid}",
                hint=f"give the user {self.settings.user} that number again, or make a new snapshot",
            )


def _is_directory(host: Tree, path: Path) -> bool:
    """Whether ``path`` itself is a directory."""
    found = host.attributes(path)
    return found is not None and found.kind is Kind.DIRECTORY
