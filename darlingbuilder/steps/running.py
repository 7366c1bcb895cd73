"""The running builder: the container booted, its store mounted, its sshd watched, its builds drained."""

from collections.abc import Callable
from dataclasses import dataclass

from darlingbuilder.adapters import procfs
from darlingbuilder.adapters.process import Running
from darlingbuilder.adapters.world import World
from darlingbuilder.core import lock, log, wait
from darlingbuilder.core.errors import DarlingError, LockedError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import corrections, deadlock
from darlingbuilder.steps.draining import Draining
from darlingbuilder.steps.health import Health
from darlingbuilder.steps.listening import Listening
from darlingbuilder.steps.nixprobe import NixProbe
from darlingbuilder.steps.profile import profile_of
from darlingbuilder.steps.sharing.sharing import Sharing
from darlingbuilder.steps.sharing.way import Ways
from darlingbuilder.steps.store import Store

# Some 100 000 paths take 10 s, more on a slow disk.
_PATIENCE = f"EXTEND_TIMEOUT_USEC={10 * 60 * 1_000_000}"


@dataclass(frozen=True, slots=True)
class Builder:
    """One run of the builder, from boot to shutdown. ``tell`` takes lines of sd_notify(3)."""

    settings: Settings
    world: World
    tell: Callable[..., None]
    sharing: Sharing | None = None

    def boot(self) -> tuple[Running, frozenset[str]]:
        """Bring up the container and its sshd. Gives the sshd with the corrections in force.

        A Nix that cannot build here gives way to the one before it. Raises DarlingError where there is none: rather
        no builder than one whose every build fails.
        """
        profile = profile_of(self.settings, self.world)
        while True:
            sshd, chosen = self._bring_up()
            if not self.settings.guest_nix:
                return sshd, chosen
            self.tell("STATUS=trying the guest's Nix")
            current = profile.current()
            preload = corrections.environment(chosen)
            unfit = NixProbe(self.settings, self.world, preload).examine(current.path) if current else None
            if unfit is None:
                break
            kept = profile.fall_back()
            if kept is None:
                raise DarlingError(f"the guest's Nix {unfit}", hint=unfit.hint)
            # What the trial has left running, and drain would take for builds, ends with the container.
            log.error("the new Nix is not used", why=unfit, kept=kept.path, do=unfit.hint)
        if profile.unanswered() is None:
            profile.settle()
        return sshd, chosen

    def _bring_up(self) -> tuple[Running, frozenset[str]]:
        """Boot the container, from nothing, mount its store, and start its sshd."""
        self.tell("STATUS=booting the container")
        self.world.darling.shutdown()
        self._sweep()
        with self.world.host.real(Paths(self.settings).boot_log).open("wb") as boot_log:
            self.world.darling.boot(boot_log)
        Store(self.settings, self.world).mount()
        deadlock.prove(self.settings, self.world)
        if self.sharing:
            self.tell("STATUS=telling the guest's Nix what the host holds", _PATIENCE)
            self.sharing.begin(Ways(self.settings, self.world).choose())
        self._refuse_foreign_listener()
        self.tell("STATUS=starting sshd")
        return Listening(self.settings, self.world).start()

    def watch(self, sshd: Running, *, seconds: float) -> None:
        """Feed the watchdog every ``seconds`` while the builder serves. Raises DarlingError when it does not."""
        health = Health(self.settings, self.world)

        def look() -> bool:
            self._follow()
            health.look()
            return sshd.poll() is not None

        try:
            while True:
                if sshd.poll() is not None:
                    raise DarlingError("sshd has ended", hint="systemd starts the builder again")
                if self.world.darling.server() is None:
                    raise DarlingError("the container has ended", hint="systemd starts the builder again")
                if Listening(self.settings, self.world).greets():
                    self.tell("WATCHDOG=1")
                wait.until(look, seconds=seconds)
        finally:
            health.end()

    def drain(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Take no new connection, and give running builds their grace, unless ``is_over``."""
        Draining(self.settings, self.world, self.tell, is_over).run(self._follow)

    def shutdown(self) -> None:
        """Bring the container down and wait until it is gone."""
        self.tell("STATUS=shutting the container down")
        if self.sharing:
            self.sharing.end()
        self.world.darling.shutdown()

    def _sweep(self) -> None:
        """Remove leftovers from the guest's store; not beside a «push», which has paths that are not valid yet."""
        if not self.sharing:
            return
        try:
            with lock.held(self.world.host.real(self.settings.names.lock), purpose=lock.STARTING, seconds=0):
                self.sharing.sweep()
        except LockedError as busy:
            log.info("the guest's store is not swept", why=busy)

    def _follow(self) -> None:
        if self.sharing:
            self.sharing.look()

    def _refuse_foreign_listener(self) -> None:
        if procfs.is_listening(self.settings.sshd_port):
            setting = "private_port" if self.settings.on_demand else "port"
            holder = procfs.listener(self.settings.sshd_port)
            named = f"{holder.name} (pid {holder.pid})" if holder else "another process"
            raise DarlingError(
                f"port {self.settings.sshd_port} is taken by {named}",
                hint=f"stop that, or choose another «{setting}» and run «darlingbuilder init»",
            )
