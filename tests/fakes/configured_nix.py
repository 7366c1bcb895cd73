"""A host's Nix whose settings come from the nix.conf of a tree, as the real one's do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darlingbuilder.adapters.nix import NixCommand
from darlingbuilder.core import nixconf
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.paths import HOST_NIX_CONF, NIX_MACHINES
from darlingbuilder.core.tree import Tree


@dataclass(frozen=True, slots=True)
class ConfiguredNix(NixCommand):
    """``overrides`` stand for NIX_CONFIG, which is read last; with ``installed`` false there is no Nix."""

    host: Tree
    installed: bool = True
    overrides: Mapping[str, object] = field(default_factory=dict)

    def settings(self) -> Mapping[str, object]:
        """See HostNix."""
        if not self.installed:
            raise PrerequisiteError("nix: not found; the host has no Nix", hint="install Nix")
        defaults = {"builders": f"@{NIX_MACHINES}", "builders-use-substitutes": False}
        text = self._text(HOST_NIX_CONF) or ""
        return {**defaults, **nixconf.said(text, file=HOST_NIX_CONF, read=self._text), **self.overrides}

    def _text(self, path: Path) -> str | None:
        content = self.host.read(path)
        return None if content is None else content.decode(errors="replace")
