"""What a nix.conf says to the fake, which reads it by our own rules, and to a real Nix, where there is one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.adapters.nix import NixCommand
from tests.fakes.configured_nix import ConfiguredNix
from tests.fakes.tree import RootlessTree

Settings = Callable[[Path], Mapping[str, object]]
MORE = "builders = ssh://more\n"

# nix.conf, and what «builders» is by it.
TEXTS = {
    "said": ("builders = ssh://a x86_64-darwin\n", "ssh://a x86_64-darwin"),
    "said twice": ("builders = ssh://a\nbuilders = ssh://b\n", "ssh://b"),
    "empty": ("builders =\n", ""),
    "many blanks": ("  builders  =   ssh://a   x86_64-darwin ;  b\t-\n", "ssh://a x86_64-darwin ; b -"),
    "a comment behind it": ("builders = ssh://a # ssh://b\n", "ssh://a"),
    "commented out": ("builders = ssh://a\n# builders = ssh://b\n#builders = ssh://c\n", "ssh://a"),
    "no newline at the end": ("cores = 2\nbuilders = ssh://a", "ssh://a"),
    "included": ("builders = ssh://a\ninclude more.conf\n", "ssh://more"),
    "included before": ("include more.conf\nbuilders = ssh://a\n", "ssh://a"),
    "included if there": ("!include more.conf\n!include nothing.conf\n", "ssh://more"),
    "extra, which a string does not take": ("builders = ssh://a\nextra-builders = ssh://b\n", "ssh://a"),
    "a file of machines": ("builders = @/etc/nix/a;@/etc/nix/b\n", "@/etc/nix/a;@/etc/nix/b"),
}


def fake(root: Path) -> Mapping[str, object]:
    return ConfiguredNix(RootlessTree(root)).settings()


def real(_root: Path) -> Mapping[str, object]:
    return NixCommand().settings()


@pytest.mark.parametrize(("text", "builders"), TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("settings", [fake, *([real] if process.find("nix") else [])], ids=lambda one: one.__name__)
def test_builders_are_what_nix_conf_says(
    settings: Settings, text: str, builders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "etc/nix"
    directory.mkdir(parents=True)
    (directory / "nix.conf").write_text(f"experimental-features = nix-command\n{text}")
    (directory / "more.conf").write_text(MORE)
    monkeypatch.setenv("NIX_CONF_DIR", str(directory))
    monkeypatch.setenv("NIX_USER_CONF_FILES", "")

    assert settings(tmp_path)["builders"] == builders
