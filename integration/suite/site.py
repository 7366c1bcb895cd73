"""A machine with darlingbuilder, a Darling and a guest's Nix on it, ready for ``darlingbuilder init``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from integration.machine.commands import Completed
from integration.machine.guestnix import ReleaseTarball
from integration.machine.machine import Machine

CONFIG = "/etc/darlingbuilder/config.toml"
TARBALL = "/srv/nix.tar.xz"
OTHER_TARBALL = "/srv/newer-nix.tar.xz"
STATE = "/var/lib/darling-builder"
PREFIX = f"{STATE}/guest/prefix"
UNIT = "darling-builder.service"
USER = "darlingbuilder"


@dataclass
class Site:
    """A booted machine and what its builder is to be made of."""

    machine: Machine
    tarball: ReleaseTarball
    launcher: str = "/usr/local/bin/darling"
    # Which builder of the machine; the one without a name, if there is one alone.
    instance: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> str:
        """The settings file of the builder."""
        return f"/etc/darlingbuilder/instances/{self.instance}.toml" if self.instance else CONFIG

    @property
    def unit(self) -> str:
        """The unit of the builder."""
        return f"darling-builder@{self.instance}.service" if self.instance else UNIT

    def configure(self, **settings: object) -> Self:
        """Write the settings file anew: the guest's Nix from the tarball, and ``settings``."""
        self.settings = {"nix__tarball": TARBALL, "nix__sha256": self.tarball.sha256, "darling": self.launcher}
        return self.set(**settings)

    def set(self, **settings: object) -> Self:
        """Add ``settings`` to the settings file, a key with a dot spelled with «__»."""
        self.settings |= settings
        lines = [f"{key.replace('__', '.')} = {json.dumps(value)}" for key, value in self.settings.items()]
        path = self.machine.path(self.config)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return self

    def tool(
        self,
        *words: str,
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 180,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run ``darlingbuilder``."""
        whose = ("--instance", self.instance) if self.instance else ()
        return self.machine.run("darlingbuilder", *whose, *words, stdin=stdin, check=check, timeout=timeout, env=env)

    def status(self) -> tuple[int, dict[str, Any]]:
        """Give the exit code and the answer of ``status --json``."""
        completed = self.tool("status", "--json", check=False)
        return completed.rc, json.loads(completed.stdout)

    def drift(self) -> str:
        """Give what ``status`` finds wrong, as one text."""
        return told(self.status()[1])

    def file(self, path: str) -> Path:
        """Give a file of the machine as seen from here."""
        return self.machine.path(path)

    def assert_healthy(self, *, build: bool = True) -> None:
        """See that ``status`` finds nothing and ``test`` passes."""
        code, answer = self.status()
        assert code == 0, self.drift()
        assert answer["converged"]
        completed = self.tool("test", *(() if build else ("--no-build",)), check=False)
        assert completed.rc == 0, completed.stdout + completed.stderr + self.machine.journal(self.unit)

    def build(self, expression: str, *, timeout: float = 120, check: bool = True) -> Completed:
        """Have the host's Nix build an expression with no local jobs, and give its output paths."""
        return self.machine.run(
            "nix-build", "--no-out-link", "--max-jobs", "0", "--expr", expression,
            timeout=timeout, check=check, env={"NIX_REMOTE": "daemon"},
        )  # fmt: skip


def told(answer: Mapping[str, Any]) -> str:
    """Give what an answer of ``status --json`` finds wrong, as one text."""
    found = [
        f"{step['step']}: {drift['what']}: {drift['detail']}" for step in answer["steps"] for drift in step["drift"]
    ]
    return "\n".join(found + [f"{step['step']}: {step['error']}" for step in answer["steps"] if step["error"]])
