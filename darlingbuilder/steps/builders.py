"""What leads the host's Nix to our machines file: its setting ``builders``, in whichever file it may be said.

Three habits of the distributions of Nix, each read in its own sources:

- Determinate's daemon writes /etc/nix/nix.conf anew at each of its starts; what is to stay goes to nix.custom.conf,
  which it includes at the top. Its installer makes upstream's nix.conf include the same file, at the bottom.
- Lix, from 2.95 on, takes a machines file for TOML if it is that; with a line of ours in it, it would be nothing.
- Nix's daemon reads nix.conf when it starts, and its children keep that. From 2.95 on Lix is started anew for each
  connection, by the socket: no nix-daemon.service runs that would have to be restarted. Machines files are read by
  the hook of each build.
"""

import tomllib
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from darlingbuilder.adapters.world import World
from darlingbuilder.core import machines, nixconf
from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.insertion import Insertion
from darlingbuilder.core.nixconf import Saying
from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_CUSTOM_CONF, NIX_DAEMON, NIX_MACHINES

# The daemon is older than a change of these.
_CONFS = (HOST_NIX_CONF, NIX_CUSTOM_CONF)
_DEFAULT = f"@{NIX_MACHINES}"
_BY_DEFAULT = Saying(_DEFAULT, Path())
_BUILDERS = "builders"
# What holds every machine of a file in TOML (Lix).
_TABLE = "machines"
_SUBSTITUTES = "builders-use-substitutes"


@dataclass(frozen=True, slots=True)
class Builders:
    """Nix finds ``wanted``: by lines in its own machines file, or where ``builders`` passes that by, by that setting.

    With none wanted, no line of ours is to be anywhere.
    """

    world: World
    wanted: tuple[Path, ...]

    def check(self) -> list[Drift]:
        """List what keeps Nix from it, or would; nothing is said of what is in force (see ``not_in_effect``)."""
        return self.unfit() or [found for insertion in self._insertions for found in insertion.check()]

    def apply(self) -> None:
        """Put our lines where they belong, and nowhere else. Raises PrerequisiteError, ForeignFileError."""
        if drift := self.unfit():
            raise PrerequisiteError(
                f"{drift[0].what} {drift[0].detail}",
                hint="write its machines in lines, which Lix takes as well, or set «register = false» and add the "
                "builder there yourself (docs/registration.md)",
            )
        self._converge(self._insertions)

    def unfit(self) -> list[Drift]:
        """Say so if ``builders`` leads to a file in which no other can be included."""
        if not self.wanted:
            return []
        expansion = machines.expand(self.said.value, self._foreign)
        toml = [path for path in sorted(expansion.files) if _is_toml(self._foreign(path) or "")]
        return [Drift(str(path), f"is TOML, which includes no other file: {self._named}") for path in toml]

    def not_in_effect(self) -> list[Drift]:
        """Say so if what is in force, whoever has said it, does not lead to each of our files."""
        try:
            builders = str(self.world.nix.settings().get(_BUILDERS, _DEFAULT))
        except PrerequisiteError:  # no Nix: nothing is in effect, and the files are all there is to check
            return []
        if machines.expand(builders, self._text).files.issuperset(self.wanted):
            return []
        detail = f"is {builders!r} in effect, which does not lead to {self._named}"
        return [Drift(f"Nix's setting {_BUILDERS}", detail)]

    def require_effect(self) -> None:
        """Raise PrerequisiteError where something passes our lines by."""
        if drift := self.not_in_effect():
            raise PrerequisiteError(
                f"{drift[0].what}: {drift[0].detail}",
                hint="NIX_CONFIG or /root/.config/nix/nix.conf, which Nix reads after /etc/nix/nix.conf, may say so; "
                "remove it there, or set «register = false» and register the builder yourself",
            )

    def in_force(self, value: str) -> Saying | None:
        """Give the file that says ``value`` of ``builders``, ours and its own lines alike; None if none does."""
        text = self._text(HOST_NIX_CONF) or ""
        told = nixconf.sayings(text, file=HOST_NIX_CONF, read=self._text).get(_BUILDERS, _BY_DEFAULT)
        return told if told.value == value else None

    @property
    def said(self) -> Saying:
        """What the files say of ``builders`` without us, and which; Nix's own default if none does."""
        return self._told.get(_BUILDERS, _BY_DEFAULT)

    @property
    def _told(self) -> dict[str, Saying]:
        return dict(nixconf.sayings(self._foreign(HOST_NIX_CONF) or "", file=HOST_NIX_CONF, read=self._foreign))

    @property
    def _named(self) -> str:
        return " and ".join(map(str, self.wanted))

    @property
    def _insertions(self) -> list[Insertion]:
        files = machines.expand(self.said.value, self._foreign).files
        missing = [path for path in self.wanted if path not in files]  # the user may have included it
        by_file = NIX_MACHINES in files and self._includable
        settings = self._settings([] if by_file else missing) if self.wanted else ""
        host, place = self.world.host, self._place
        return [
            Insertion(host, NIX_MACHINES, "".join(f"@{path}\n" for path in missing) if by_file else ""),
            *(Insertion(host, conf, settings if conf == place else "") for conf in _CONFS),
        ]

    def _settings(self, included: list[Path]) -> str:
        """Give the lines for a nix.conf: ``builders`` with what it is to include, and what goes with it."""
        lines = [f"{_BUILDERS} = {reduce(machines.with_include, included, self.said.value)}"] if included else []
        if _SUBSTITUTES not in self._told:  # whoever has set it, either way, has meant it
            lines.append(f"{_SUBSTITUTES} = true")
        return "".join(f"{line}\n" for line in lines)

    @property
    def _includable(self) -> bool:
        """Whether Nix's own machines file may get a line of ours; a link is kept by something that knows of none."""
        found = self.world.host.attributes(NIX_MACHINES)
        return found is None or found.kind is Kind.FILE

    @property
    def _place(self) -> Path:
        """The file that our settings go to: nix.custom.conf, if nix.conf leaves them to that one."""
        text = nixconf.behind(self._foreign(HOST_NIX_CONF) or "", NIX_CUSTOM_CONF, file=HOST_NIX_CONF)
        if text is None:
            return HOST_NIX_CONF
        overrides = nixconf.said(text, file=HOST_NIX_CONF, read=self._foreign)
        return HOST_NIX_CONF if {_BUILDERS, _SUBSTITUTES} & overrides.keys() else NIX_CUSTOM_CONF

    def _converge(self, insertions: list[Insertion]) -> None:
        is_older = False
        try:
            for insertion in insertions:
                is_older |= insertion.converge() and insertion.path in _CONFS
        finally:  # the next time there is nothing to change, and the daemon would stay as it is
            if is_older:
                self._renew_daemon()

    def _renew_daemon(self) -> None:
        # Many of our restarts in a short time must not leave the host without its daemon (StartLimitBurst=).
        self.world.systemd.reset_failed(NIX_DAEMON)
        self.world.systemd.try_restart(NIX_DAEMON)

    def _foreign(self, path: Path) -> str | None:
        return Insertion(self.world.host, path).foreign

    def _text(self, path: Path) -> str | None:
        content = self.world.host.read(path)
        return None if content is None else content.decode(errors="replace")


def _is_toml(text: str) -> bool:
    """Whether Lix takes a machines file for TOML. Comments alone are neither, and no line of Nix's is TOML."""
    try:
        return _TABLE in tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
