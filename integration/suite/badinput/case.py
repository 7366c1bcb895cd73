"""One kind of bad input: what is wrong, and the one clear error that it must give."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from integration.machine.commands import Completed
from integration.suite import breakage
from integration.suite.breakage import Break
from integration.suite.site import Site

# As the README documents them; the tool's own table must not vouch for itself.
FAILED, USAGE, CONFIGURATION, PREREQUISITE = 1, 2, 4, 5

_PYSTEMD = "/usr/lib/python3/dist-packages/pystemd"
NO_PYSTEMD = breakage.commands(f"mount -t tmpfs tmpfs {_PYSTEMD}", f"umount {_PYSTEMD}")
NO_BUS = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"}
KEY = "/etc/nix/darling-builder-key"


@dataclass(frozen=True)
class Bad:
    """Something wrong: ``says`` are words of the error, ``broken`` makes the machine so for the call."""

    what: str
    code: int
    says: tuple[str, ...]
    command: str = "init"
    broken: Break = breakage.nothing
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.what.replace(" ", "-")

    def call(self, site: Site) -> Completed:
        """Run the command on a machine that has been made so."""
        words = self.command.split()
        return site.machine.run("darlingbuilder", *words, user=self.user, env=self.env, timeout=20, check=False)

    def assert_one_error(self, completed: Completed) -> None:
        """See that there is one error, with its remedy and its exit code."""
        told = completed.stdout + completed.stderr
        assert completed.rc == self.code, told
        assert "Traceback" not in told
        # What it was doing is said before.
        lines = [line for line in completed.stderr.splitlines() if not line.startswith("applying ")]
        assert [line for line in lines if line.startswith("darlingbuilder: ")] == lines[:1], told
        assert len(lines) > 1, told
        assert lines[-1].startswith("  "), told
        assert lines[-1].strip(), told
        assert [words for words in self.says if words not in completed.stderr] == [], told
