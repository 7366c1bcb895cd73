"""What each distribution of Nix says of itself, and how its store is asked."""

from pathlib import Path

import pytest

from darlingbuilder.adapters import nixclient
from darlingbuilder.adapters.nix import NixCommand
from darlingbuilder.core.errors import NixError
from tests.fakes.distributions import DISTRIBUTIONS
from tests.fakes.programs import OWN_PATH, write

# By the distribution's name, and what else was met.
SAID = {
    "Debian": ("Nix", (2, 26, 3)),
    "official": ("Nix", (2, 34, 8)),
    "Lix": ("Lix", (2, 95, 3)),
    "Determinate": ("Determinate Nix 3.21.9", (2, 34, 8)),
}
OTHERS = {
    "nix-store (Nix) 2.36.0pre20260822_88b09c6": ("Nix", (2, 36, 0)),
    "nix-store (Lix, like Nix) 2.90.0-lix": ("Lix", (2, 90, 0)),
    "nix-store but for lesbians 2.93.3": ("Nix", (2, 93, 3)),
}
CASES = {DISTRIBUTIONS[name].introduction: told for name, told in SAID.items()} | OTHERS
# What is called when a verb is not known, and what it says then (libutil/args.cc, of Nix and of Lix alike).
ASKED = """
case "$*" in
  *"store {verb} "*) echo "{verb}" >&2; exit {code};;
  *) echo "error: '$4' is not a recognised command" >&2; exit 1;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory that comes first on the PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{OWN_PATH}")
    return tmp_path


@pytest.mark.parametrize(("said", "told"), CASES.items(), ids=[case.partition("\n")[0] for case in CASES])
def test_name_and_version_are_made_out(programs: Path, said: str, told: tuple[str, tuple[int, ...]]) -> None:
    write(programs / "nix-store", f"cat << 'END'\n{said}\nEND")

    assert (NixCommand().name(), NixCommand().version()) == told


def test_a_nix_that_says_no_version_is_quoted(programs: Path) -> None:
    write(programs / "nix-store", "echo something else")

    with pytest.raises(NixError, match="'something else'"):
        NixCommand().version()


@pytest.mark.parametrize("verb", ["info", "ping"])
@pytest.mark.parametrize("code", [0, 1])
def test_a_store_is_asked_by_the_verb_that_this_nix_knows(programs: Path, verb: str, code: int) -> None:
    write(programs / "nix", ASKED.format(verb=verb, code=code))

    said = nixclient.store_info("ssh-ng://darling-builder", timeout=10)

    assert (said.code, said.stderr) == (code, f"{verb}\n")
