"""The settings of the host's Nix: ours and the fake's reading of nix.conf beside what a real Nix makes of it."""

from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.adapters.nix import NixCommand
from tests.fakes.configured_nix import ConfiguredNix
from tests.fakes.tree import RootlessTree

TEXTS = {
    "said": "builders = ssh://a x86_64-darwin\n",
    "said twice": "builders = ssh://a\nbuilders = ssh://b\n",
    "empty": "builders =\n",
    "many blanks": "  builders  =   ssh://a   x86_64-darwin ;  ssh://b\t-\n",
    "a comment behind it": "builders = ssh://a # ssh://b\n",
    "commented out": "builders = ssh://a\n# builders = ssh://b\n#builders = ssh://c\n",
    "no newline at the end": "cores = 2\nbuilders = ssh://a",
    "included": "builders = ssh://a\ninclude more.conf\n",
    "included before": "include more.conf\nbuilders = ssh://a\n",
    "included if there": "!include more.conf\n!include nothing.conf\n",
    "a path included": "builders = @/etc/nix/others;@/etc/nix/darling-builder.machines\n",
    "a switch": "builders-use-substitutes = true\nbuilders = ssh://a\n",
}


@pytest.mark.skipif(process.find("nix") is None, reason="needs a Nix on the host")
@pytest.mark.parametrize("text", [pytest.param(text, id=f"real-{name}") for name, text in TEXTS.items()])
def test_a_real_nix_reads_the_same(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    directory = tmp_path / "etc/nix"
    directory.mkdir(parents=True)
    (directory / "nix.conf").write_text(f"experimental-features = nix-command\n{text}")
    (directory / "more.conf").write_text("builders = ssh://more\n")
    monkeypatch.setenv("NIX_CONF_DIR", str(directory))
    monkeypatch.setenv("NIX_USER_CONF_FILES", "")
    # when
    real, fake = NixCommand().settings(), ConfiguredNix(RootlessTree(tmp_path)).settings()
    # then
    assert real["builders"] == fake["builders"]
    assert real["builders-use-substitutes"] == (str(fake["builders-use-substitutes"]).lower() == "true")
