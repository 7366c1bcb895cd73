"""The first step: the marker, which says that what follows is ours, and with which settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from darlingbuilder.adapters.world import World
from darlingbuilder.core import config, marker
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ConfigError, ForeignFileError
from darlingbuilder.core.marker import Marker
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings, bytes_of
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps import neighbours
from darlingbuilder.steps.commandlines import installed_state
from darlingbuilder.steps.prefix import PARENT_MODE
from darlingbuilder.steps.takeover import Claim, refuse_inhabited

# What a builder that exists cannot change: its parts would be left behind under the old name.
_FIXED = ("instance", "state", "prefix", "user")
_OF_ONE_CALL = frozenset({"flag", "environment"})
_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Ownership:
    """The marker records the settings in force; without one, nothing below is ours to change."""

    config: Config
    world: World
    name: ClassVar[str] = "settings"

    @property
    def _paths(self) -> Paths:
        return Paths(self.config.settings)

    def check(self) -> list[Drift]:
        """See Step."""
        recorded = marker.read(self.world.host, self._paths.marker)
        if recorded is None:
            return [Drift(str(self._paths.marker), "absent")]
        changed = _differences(recorded, self.config, frozenset()) or _stale_origins(recorded, self.config)
        return [*self._check_directory(), *changed]

    def refuse(self) -> None:
        """Raise ForeignFileError or ConfigError if these settings would take over or orphan something."""
        recorded = marker.read(self.world.host, self._paths.marker)
        if recorded is None:
            self._refuse_second_builder()
            self._refuse_foreign_prefix()
            for claim in self._claims():
                refuse_inhabited(claim, self.world.host)
        else:
            _refuse_fixed(recorded, self.config)
        neighbours.refuse_shared(self.config.settings, self.world.host)

    def apply(self) -> None:
        """See Step. Raises what ``refuse`` does."""
        self.refuse()
        self.world.host.make_directory(self._paths.state, mode=_MODE, owner=ROOT)
        if not self.check():
            return
        # Two builders that are made at the same time must not choose the same port.
        with neighbours.changing_shared(self.world, "init"):
            self.refuse()
            marker.write(self.world.host, self._paths.marker, marker.of(self.config))

    def revert(self) -> None:
        """See Step."""
        self.world.host.remove(self._paths.last_test)
        self.world.host.remove(self._paths.marker)
        for path in self._paths.kept:
            self.world.host.sweep(path)
        self.world.host.remove_if_empty(self._paths.state)

    def _check_directory(self) -> list[Drift]:
        found = self.world.host.attributes(self._paths.state)
        # What a link leads to is corrected as well, but not looked at.
        if found and found.kind is Kind.DIRECTORY and (found.mode, found.owner) != (_MODE, ROOT):
            return [Drift(str(self._paths.state), "is not root's, or not open to the service user, who must pass it")]
        return []

    def _refuse_second_builder(self) -> None:
        """Refuse to take unit, alias and registration, of which a machine has one each, from another builder."""
        first = installed_state(self.config.settings.names, self.world.host)
        if first is None or not self.world.host.attributes(Paths(Settings(state=str(first))).marker):
            return
        raise ConfigError(
            f"state cannot change from '{first}' to '{self._paths.state}' while the builder exists",
            hint=f"darlingbuilder uninstall --state={first}, then init with the new value; keys are kept",
        )

    def _refuse_foreign_prefix(self) -> None:
        for path in (self._paths.prefix, self._paths.nix):
            if self.world.host.attributes(path):
                raise ForeignFileError(
                    f"{path} exists, and no marker says that darlingbuilder made it",
                    hint="move it away, or choose another «state» or «prefix»",
                )

    def _claims(self) -> Iterator[Claim]:
        """List the directories that the builder is given: nothing but a marker says that it has them already."""
        settings, own = self.config.settings, self.config.settings.names.alias
        state, parent = self._paths.state, self._paths.prefix.parent
        kept = frozenset(path.name for path in self._paths.kept)
        yield Claim(state, "state", _MODE, ROOT, "root", state / own, kept)
        account = self.world.accounts.find(settings.user)
        owner, prefix = account.owner if account else None, parent / own / self._paths.prefix.name
        yield Claim(parent, "prefix", PARENT_MODE, owner, settings.user, prefix)


def pending(recorded: Marker, effective: Config) -> list[Drift]:
    """List the settings that were changed since the last ``init``; what one call of it was given does not count."""
    once = frozenset(key for key, origin in recorded.origins.items() if origin in _OF_ONE_CALL)
    return _differences(recorded, effective, once)


def _differences(recorded: Marker, wanted: Config, ignored: frozenset[str]) -> list[Drift]:
    actual = config.flatten(recorded.config.settings)
    return [
        Drift(f"setting {key}", f"is {actual[key]!r}, should be {value!r} ({wanted.origins[key]})")
        for key, value in config.flatten(wanted.settings).items()
        if actual[key] != value and key not in ignored
    ]


def _stale_origins(recorded: Marker, wanted: Config) -> list[Drift]:
    same = recorded.origins == dict(wanted.origins) and recorded.config_file == str(wanted.file)
    return [] if same else [Drift("origins of the settings", "have changed")]


def _refuse_fixed(recorded: Marker, wanted: Config) -> None:
    before, after = config.flatten(recorded.config.settings), config.flatten(wanted.settings)
    for key in _FIXED:
        if before[key] != after[key]:
            raise ConfigError(
                f"{key} cannot change from {before[key]!r} to {after[key]!r} while the builder exists",
                hint="darlingbuilder uninstall, then init with the new value; keys are kept",
            )
    was, will_be = recorded.config.settings.store_size, wanted.settings.store_size
    if 0 < bytes_of(will_be) < bytes_of(was):
        raise ConfigError(
            f"store_size cannot shrink from {was} to {will_be}",
            hint="set it to 0, then: darlingbuilder init; and once more with the smaller size",
        )
