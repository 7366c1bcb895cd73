"""The health of the guest: now and then a session in it, as Nix has them, has to run a command."""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from darlingbuilder.adapters.ssh import Session
from darlingbuilder.adapters.world import World
from darlingbuilder.core import log
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import GUEST_PROFILE
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import corrections

# So often in a row, for a guest may be too busy to let anybody in, and a new start ends all builds.
_FAILURES = 3
# After a failure the next trial comes sooner than usual.
_SECONDS_AFTER_FAILURE = 10.0
_SPREAD = 0.2
_LAST_WORDS = 200


@dataclass(slots=True)
class Health:
    """The guest of a builder that serves, looked at without waiting for it. ``clock``: seconds that only increase.

    An sshd that greets may be all that is left of a guest: what nobody sees from outside is whether it still starts
    programs. Only a nonce on the session's stdout proves that; a status of 0 does not.
    """

    settings: Settings
    world: World
    clock: Callable[[], float] = time.monotonic
    _due: float = field(init=False)
    _asked: Session | None = field(init=False, default=None)
    _nonce: str = field(init=False, default="")
    _failures: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Put off the first trial: the start has just had one."""
        self._due = self.clock() + self._interval()

    def look(self) -> None:
        """Begin a trial when it is time, or see how it has ended. Raises DarlingError if too many have failed."""
        if not self.settings.health_interval:
            return
        if self._asked is None:
            if self.clock() >= self._due:
                self._begin()
            return
        answer = self._asked.answer()
        if answer is None and self.clock() < self._due:
            return
        self.end()
        lines = answer.stdout.splitlines() if answer else []
        if answer and self._nonce in lines:
            self._failures = 0
            self._due = self.clock() + self._interval()
        else:
            last = " ".join(lines)[-_LAST_WORDS:]
            self._note(last or "no answer" if answer else f"no answer within {self.settings.boot_timeout} s")

    def end(self) -> None:
        """End a trial that goes on."""
        if self._asked:
            self._asked.end()
            self._asked = None

    def _begin(self) -> None:
        self._nonce = secrets.token_hex(8)
        self._asked = self.world.ssh.begin(corrections.login(self.settings, self.world), self._command())
        self._due = self.clock() + self.settings.boot_timeout

    def _command(self) -> str:
        # Programs of the guest's own, not words of its shell: what has to work is to start one.
        nix = f"{GUEST_PROFILE}/bin/nix-store --version > /dev/null && " if self.settings.guest_nix else ""
        return f"{nix}/bin/echo {self._nonce}"

    def _note(self, why: str) -> None:
        self._failures += 1
        self._due = self.clock() + _SECONDS_AFTER_FAILURE
        if self._failures >= _FAILURES:
            raise DarlingError(
                f"the guest runs no command any more: {_FAILURES} sessions in a row failed, the last with: {why}",
                hint="systemd starts the builder again",
            )
        log.warning("a session in the guest has failed", failures=self._failures, why=why)

    def _interval(self) -> float:
        # Not all builders of a fleet at the same moment.
        return self.settings.health_interval * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - no secret
