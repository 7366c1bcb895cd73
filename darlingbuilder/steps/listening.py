"""The guest's sshd: started with the corrections that this Darling needs, greeting, and found again."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import process, procfs, tcp
from darlingbuilder.adapters.process import Running
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log, wait
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import SSHD_CONFIG
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import corrections
from darlingbuilder.steps.corrections import IPV4, Defect
from darlingbuilder.steps.sshd import session_environment

_SSHD = Path("/usr/sbin/sshd")
_BANNER_SECONDS = 5.0
# After so many connections in a row that ended without a word they count as dying.
_HANG_UPS = 3
_SECONDS_TO_END = 10.0
_LOGS = "see what it says: darlingbuilder logs"


@dataclass(frozen=True, slots=True)
class Listening:
    """The sshd of one run of the builder; the container must be up and its store mounted."""

    settings: Settings
    world: World

    def start(self) -> tuple[Running, frozenset[str]]:
        """Start sshd. Gives it with the corrections that are in force. Raises DarlingError."""
        chosen = corrections.at_first(self.settings)
        found: list[Defect] = []
        while True:
            sshd = self._launched(chosen)
            defect = self._defect(sshd)
            if defect is None or corrections.curing(defect, self.settings) <= chosen:
                break
            found.append(defect)
            self._end(sshd)
            chosen |= corrections.curing(defect, self.settings)
        if defect and not defect.bearable:
            raise corrections.uncured(defect, self.settings)
        self._report(chosen, found, left=defect)
        return sshd, chosen

    def greets(self) -> bool:
        """Whether our sshd, and no other, greets with an SSH banner."""
        return tcp.is_ssh(self.settings.sshd_port, timeout=self._patience)

    def process(self) -> procfs.Process | None:
        """Find the listening sshd among the container's processes; None if it takes no connections."""
        inside = {found.pid for found in self.world.darling.processes()}
        return next((found for found in procfs.listeners(self.settings.sshd_port) if found.pid in inside), None)

    def _launched(self, chosen: frozenset[str]) -> Running:
        # Its log goes where ours goes, the journal.
        sshd = self.world.darling.start(*self._command(chosen), log=sys.stderr.buffer)
        seconds = self.settings.boot_timeout
        if not wait.until(lambda: sshd.poll() is not None or self.process() is not None, seconds=seconds):
            raise DarlingError(
                f"sshd does not listen on 127.0.0.1:{self.settings.sshd_port} within {seconds} s",
                hint=_LOGS,
            )
        self._require(sshd)
        return sshd

    def _defect(self, sshd: Running) -> Defect | None:
        """Give what shows of this Darling's defects at a connection, or in a session."""
        heard = wait.until(
            lambda: sshd.poll() is not None or self.greets() or self._hangs_up(), seconds=self.settings.boot_timeout
        )
        self._require(sshd)
        if not heard:
            raise DarlingError(
                f"sshd does not greet on 127.0.0.1:{self.settings.sshd_port} within {self.settings.boot_timeout} s",
                hint=_LOGS,
            )
        return corrections.session_defect(self.settings, self.world) if self.greets() else IPV4

    def _hangs_up(self) -> bool:
        """Whether connections die; one alone may have met with an sshd that had no process left for it."""
        return all(tcp.hangs_up(self.settings.sshd_port, timeout=self._patience) for _ in range(_HANG_UPS))

    @property
    def _patience(self) -> float:
        return min(_BANNER_SECONDS, self.settings.boot_timeout)

    def _require(self, sshd: Running) -> None:
        if sshd.poll() is not None:
            raise DarlingError("sshd ended as soon as it was started", hint=_LOGS)

    def _report(self, chosen: frozenset[str], found: Sequence[Defect], *, left: Defect | None) -> None:
        if chosen:
            named = ", ".join(defect.name for defect in found)
            why = f"it has defects: {named}" if found else f"compat is {self.settings.compat}"
            log.info("the compat shim corrects this Darling", why=why, corrections=", ".join(sorted(chosen)))
        if left:
            remedy = corrections.uncured(left, self.settings).hint
            log.warning("a defect of this Darling remains", defect=left.name, meaning=left.meaning, do=remedy)

    def _command(self, chosen: frozenset[str]) -> list[str]:
        variables = corrections.environment(chosen)
        preload = [f"{name}={value}" for name, value in variables.items()]
        # Of several SetEnv the first counts, and the command line comes before the configuration.
        session = " ".join(f"{name}={value}" for name, value in {**session_environment(), **variables}.items())
        options = ["-o", f"SetEnv={session}"] if variables else []
        return ["/usr/bin/env", *preload, str(_SSHD), "-D", "-e", "-f", str(SSHD_CONFIG), *options, *self._lenient()]

    def _lenient(self) -> list[str]:
        # From 9.8 on a client that leaves without logging in is punished, and all of ours share one address: the
        # watchdog's look at the banner would shut Nix out. Older versions refuse the very word.
        program = self.world.darling.files().read(_SSHD) or b""
        return ["-o", "PerSourcePenalties=no"] if b"PerSourcePenalties" in program else []

    def _end(self, sshd: Running) -> None:
        # The launcher swallows SIGTERM; sshd itself is a process of the host.
        if found := self.process():
            process.kill(found.pid, signal.SIGTERM)
        if not wait.until(lambda: sshd.poll() is not None and self.process() is None, seconds=_SECONDS_TO_END):
            raise DarlingError(f"sshd does not end within {_SECONDS_TO_END:g} s", hint=_LOGS)
