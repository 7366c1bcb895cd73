"""The running builder: the container booted, its store mounted, its sshd watched, its builds drained."""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from darlingbuilder.adapters import process, procfs, sshclient, tcp
from darlingbuilder.adapters.process import Running
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log, wait
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import CONTROL_SOCKETS, SSHD_CONFIG, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.nixprobe import NixProbe
from darlingbuilder.steps.profile import profile_of
from darlingbuilder.steps.store import Store

_SSHD = Path("/usr/sbin/sshd")
_BANNER_SECONDS = 5.0
# A build is one of these in the guest: «nix-daemon --stdio» for ssh-ng, «nix-store --serve» for ssh. An idle
# ControlMaster keeps its connection, but none of them.
_SERVING = frozenset({"nix-daemon", "nix-store"})


@dataclass(frozen=True, slots=True)
class Builder:
    """One run of the builder, from boot to shutdown. ``tell`` takes lines of sd_notify(3)."""

    settings: Settings
    world: World
    tell: Callable[..., None]

    def boot(self) -> Running:
        """Bring up the container and its sshd. Gives the sshd once it greets; raises DarlingError."""
        self._bring_up()
        self._settle_nix()
        self._refuse_foreign_listener()
        self.tell("STATUS=starting sshd")
        # Its log goes where ours goes, the journal.
        sshd = self.world.darling.start(*self._sshd_command(), log=sys.stderr.buffer)
        if not wait.until(lambda: sshd.poll() is not None or self.greets(), seconds=self.settings.boot_timeout):
            raise DarlingError(
                f"sshd does not greet on 127.0.0.1:{self.settings.port} within {self.settings.boot_timeout} s",
                hint="see what it says: darlingbuilder logs",
            )
        if sshd.poll() is not None:
            raise DarlingError("sshd ended as soon as it was started", hint="see what it says: darlingbuilder logs")
        return sshd

    def _bring_up(self) -> None:
        """Boot the container, from nothing, and mount its store."""
        self.tell("STATUS=booting the container")
        self.world.darling.shutdown()
        with self.world.host.real(Paths(self.settings).boot_log).open("wb") as boot_log:
            self.world.darling.boot(boot_log)
        Store(self.settings, self.world).mount()

    def _settle_nix(self) -> None:
        """See that the guest's Nix can build, and go back to the one before it while it cannot.

        Raises DarlingError where there is none: rather no builder than one whose every build fails.
        """
        self.tell("STATUS=trying the guest's Nix")
        profile, probe = profile_of(self.settings, self.world), NixProbe(self.settings, self.world)
        while current := profile.current():
            unfit = probe.examine(current.path)
            if unfit is None:
                break
            kept = profile.fall_back()
            if kept is None:
                raise DarlingError(f"the guest's Nix {unfit}", hint=unfit.hint)
            log.error("the new Nix is not used", why=unfit, kept=kept.path, do=unfit.hint)
            # What the trial has left running, and drain would take for builds, ends with the container.
            self._bring_up()
        if profile.unanswered() is None:
            profile.settle()

    def _sshd_command(self) -> list[str]:
        """Give the command of the guest's sshd, with what only some versions of it understand."""
        # From 9.8 on a client that leaves without logging in is punished, and all of ours share one address: the
        # watchdog's look at the banner would shut Nix out. Older versions refuse the very word.
        program = self.world.darling.files().read(_SSHD) or b""
        lenient = ["-o", "PerSourcePenalties=no"] if b"PerSourcePenalties" in program else []
        return [str(_SSHD), "-D", "-e", "-f", str(SSHD_CONFIG), *lenient]

    def greets(self) -> bool:
        """Whether our sshd, and no other, greets with an SSH banner."""
        return tcp.is_ssh(self.settings.port, timeout=_BANNER_SECONDS)

    def watch(self, sshd: Running, *, seconds: float) -> None:
        """Feed the watchdog every ``seconds`` while the builder serves. Raises DarlingError when it does not."""
        while True:
            if sshd.poll() is not None:
                raise DarlingError("sshd has ended", hint="systemd starts the builder again")
            if self.world.darling.server() is None:
                raise DarlingError("the container has ended", hint="systemd starts the builder again")
            if self.greets():
                self.tell("WATCHDOG=1")
            _pause_while(sshd, seconds)

    def drain(self) -> None:
        """Take no new connection, and give running builds their grace."""
        listener = self._listener()
        if listener:
            # The launcher swallows SIGTERM; sshd itself is a process of the host. Its sessions go on.
            process.kill(listener.pid, signal.SIGTERM)
        # A connection that ssh keeps would go on taking builds without sshd's door.
        sshclient.close_masters(self.world.host.real(CONTROL_SOCKETS))
        deadline = time.monotonic() + self.settings.grace
        while (builds := self._builds()) and time.monotonic() < deadline:
            left = deadline - time.monotonic()
            self.tell(f"STATUS=draining {builds} connection(s) with builds, {left:.0f} s left")
            wait.until(lambda: not self._builds(), seconds=min(5.0, left))
        if builds:
            log.warning("builds cut off", connections=builds, grace=self.settings.grace)

    def shutdown(self) -> None:
        """Bring the container down and wait until it is gone."""
        self.tell("STATUS=shutting the container down")
        self.world.darling.shutdown()

    def _builds(self) -> int:
        return sum(PurePath(found.arguments[0]).name in _SERVING for found in self.world.darling.processes())

    def _listener(self) -> procfs.Process | None:
        inside = {found.pid for found in self.world.darling.processes()}
        return next((found for found in procfs.listeners(self.settings.port) if found.pid in inside), None)

    def _refuse_foreign_listener(self) -> None:
        if procfs.is_listening(self.settings.port):
            holder = procfs.listener(self.settings.port)
            named = f"{holder.name} (pid {holder.pid})" if holder else "another process"
            raise DarlingError(
                f"port {self.settings.port} is taken by {named}",
                hint="stop that, or choose another «port» and run «darlingbuilder init»",
            )


def _pause_while(sshd: Running, seconds: float) -> None:
    """Wait ``seconds``, or until ``sshd`` ends."""
    wait.until(lambda: sshd.poll() is not None, seconds=seconds)
