"""The README's steps, by copy and paste, on an empty Debian: install, then a builder, then a build.

What is not the README's: a Darling is there (the stand-in), and nothing can be fetched but what was beforehand, so
that the settings name a release tarball of Nix.
"""

from collections.abc import Iterator

import pytest

from docs.examples import ROOT, blocks
from integration.machine.guestnix import release_tarball
from integration.machine.machine import Machine
from integration.packaging.distributions import checkout
from integration.packaging.wheelhouse import RELEASES, WHEELS, Release, empty_debian, install_script, wheelhouse
from integration.suite.equipment import stand_in
from integration.suite.site import TARBALL, Site

CLONE = "/root/darlingbuilder"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
DERIVATION = """derivation {
  name = "hello";
  system = "x86_64-darwin";
  builder = "/bin/sh";
  args = [ "-c" "echo hello > $out" ];
}"""


def steps(below: str) -> str:
    """Give what the README has users type below a heading."""
    (text,) = (block.text for block in blocks("sh") if block.document == ROOT / "README.md" and block.below == below)
    return text


@pytest.fixture(scope="module", params=RELEASES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """An empty Debian on which the README's block for it was typed in a clone."""
    release: Release = request.param
    tarball = release_tarball("trixie")
    binds = {WHEELS: wheelhouse(release), TARBALL: tarball.path}
    with Machine.create(empty_debian(release), layers=[stand_in(mended=False)], read_only_binds=binds) as machine:
        checkout(machine.path(CLONE))
        machine.boot()
        machine.run("sh", "-eux", "-c", install_script(), cwd=CLONE, env=OFFLINE, timeout=600)
        yield Site(machine, tarball).configure()


def test_the_readmes_steps_make_a_builder_that_builds(site: Site) -> None:
    said = site.machine.run("sh", "-eux", "-c", steps("The first build"), timeout=600)

    assert "darlingbuilder test" in said.stdout, "init ends with what to type next"
    built = site.build(DERIVATION)
    assert site.file(built.stdout.strip()).read_text() == "hello\n"


def test_an_installation_has_its_manual_and_completions(site: Site) -> None:
    for words in (
        ("man",),
        ("man", "darlingbuilder.toml"),
        *(("completion", shell) for shell in ("bash", "zsh", "fish")),
    ):
        assert "darlingbuilder" in site.tool(*words).stdout
