"""The trial of a Nix: its scripts are run for real, by a shell of this machine in the place of the guest's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.core import compatibility
from darlingbuilder.core.paths import SHIM, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.nixprobe import NixProbe, Unfit
from darlingbuilder.steps.nixsource import ROOTS
from darlingbuilder.steps.profile import nix_tree
from tests.fakes import programs
from tests.fakes.world import FakeWorld, fake_world

HASH = "0" * 32
PRELOAD = {"DYLD_INSERT_LIBRARIES": "/nowhere/compat.dylib", "DARLINGBUILDER_COMPAT": "lchflags"}
VERSION = "echo 'nix-store (Nix) 9.9'"
# What Nix does with the derivation, as far as it can be seen from outside.
BUILD = f"""
nonce=$(printf %s "$*" | sed 's/.*darlingbuilder-test-\\([0-9a-f]*\\).*/\\1/')
path=/nix/store/{HASH}-darlingbuilder-test-$nonce
mkdir -p "STATE$path"
echo $nonce > "STATE$path/nonce"
ln -s nonce "STATE$path/link"
echo "building '$path.drv'..." >&2
echo $path
"""


@dataclass
class Guest:
    """A world whose guest's programs are this machine's; ``calls`` counts those that were made."""

    world: FakeWorld
    place: Path
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, command: tuple[str, ...]) -> tuple[int, str]:
        self.calls.append(command)
        ended = process.run(*map(programs.here, command), timeout=1, check=False)
        return ended.code, ended.stdout

    def nix(self, *, version: str = VERSION, build: str | None = BUILD) -> str:
        """Put a Nix where it runs, and give its path."""
        state = self.world.host.root / "var/lib/darling-builder"
        for name, text in (("nix-store", version), ("nix-build", build)):
            if text is not None:
                program = self.place / "bin" / name
                program.parent.mkdir(parents=True, exist_ok=True)
                program.write_text(f"#!/bin/sh\n{text.replace('STATE', str(state))}\n")
                program.chmod(0o755)
        return str(self.place)

    def examine(
        self, nix: str, settings: Settings | None = None, preload: Mapping[str, str] = MappingProxyType({})
    ) -> Unfit | None:
        return NixProbe(settings or Settings(), self.world, preload).examine(nix)


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    """Give a container that is up."""
    (tmp_path / "machine").mkdir()
    world = fake_world(tmp_path / "machine").with_prefix()
    world.host.make_directory(Paths(Settings()).nix)
    with (tmp_path / "log").open("wb") as log:
        world.darling.boot(log)
    made = Guest(world, tmp_path / f"{HASH}-nix-9.9")
    world.darling.answers["/usr/bin/env"] = made.run
    return made


def test_a_nix_that_builds_passes(guest: Guest) -> None:
    assert guest.examine(guest.nix()) is None


def test_what_has_passed_is_not_tried_again(guest: Guest) -> None:
    nix = guest.nix()
    guest.examine(nix)
    made = len(guest.calls)

    assert guest.examine(nix) is None

    assert len(guest.calls) == made


def test_what_has_failed_is_tried_again(guest: Guest) -> None:
    nix = guest.nix(build="exit 1")
    assert guest.examine(nix)
    guest.nix()
    assert guest.examine(nix) is None


def test_another_environment_of_the_sessions_means_another_trial(guest: Guest) -> None:
    nix = guest.nix()
    guest.examine(nix)
    made = len(guest.calls)

    guest.examine(nix, Settings(user="somebody"))

    assert len(guest.calls) > made


def test_the_corrections_in_force_are_in_the_environment_of_a_trial(guest: Guest) -> None:
    unfit = guest.examine(guest.nix(version="echo $DARLINGBUILDER_COMPAT; exit 1"), preload=PRELOAD)

    assert unfit
    assert {"DYLD_INSERT_LIBRARIES=/nowhere/compat.dylib", "DARLINGBUILDER_COMPAT=lchflags"} <= {*guest.calls[0]}
    assert unfit.how.endswith(": lchflags")


def test_other_corrections_and_another_shim_mean_another_trial(guest: Guest) -> None:
    nix, files = guest.nix(), guest.world.darling.files()
    files.write(SHIM, b"a shim")
    guest.examine(nix, preload=PRELOAD)
    tried = [len(guest.calls)]
    for content, preload in [(b"a shim", PRELOAD), (b"a newer shim", PRELOAD), (b"a newer shim", {})]:
        files.write(SHIM, content)
        guest.examine(nix, preload=preload)
        tried.append(len(guest.calls))

    assert tried[0] == tried[1] < tried[2] < tried[3]


def test_a_shim_that_is_not_loaded_makes_no_difference(guest: Guest) -> None:
    nix, files = guest.nix(), guest.world.darling.files()
    guest.examine(nix)
    made = len(guest.calls)
    files.write(SHIM, b"a shim")

    guest.examine(nix)

    assert len(guest.calls) == made


def test_only_the_last_trial_leaves_a_mark_and_that_roots_the_nix(guest: Guest) -> None:
    tree = nix_tree(Settings(), guest.world)
    tree.write_link(ROOTS / "probed-0123456789abcdef", "/nix/store/another")
    tree.write_link(ROOTS / "cacert", "/nix/store/cacert")
    nix = guest.nix()

    guest.examine(nix)

    assert {tree.link(ROOTS / name) for name in tree.names(ROOTS)} == {nix, "/nix/store/cacert"}


def test_the_environment_is_a_sessions_and_nothing_else(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    unfit = guest.examine(guest.nix(version="env; exit 1"))

    assert unfit
    assert "NIX_REMOTE" not in unfit.how
    assert any(word.startswith("NIX_CONF_DIR=") for word in guest.calls[0])
    assert guest.calls[0][:2] == ("/usr/bin/env", "-i")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("kill -ILL $$", "asked for its version, it died of SIGILL (Illegal instruction)"),
        ("kill -SEGV $$", "died of SIGSEGV"),
        ("kill -KILL $$", "died of SIGKILL"),
        ("exit 3", "ended with status 3"),
        ("echo wrong architecture >&2; exit 1", "ended with status 1: wrong architecture"),
        ("exit 0", "said nothing that Nix says"),
        ("echo 'Unimplemented syscall (488)'", "said nothing that Nix says: Unimplemented syscall (488)"),
        ("exec /nowhere", "could not be started"),
        ("sleep 3", "did not answer within 60 s"),
    ],
)
def test_a_nix_that_does_not_tell_its_version_is_said_to_fail_as_it_did(
    guest: Guest, version: str, words: str
) -> None:
    unfit = guest.examine(guest.nix(version=version))

    assert unfit
    assert words in unfit.how
    assert str(guest.place) in str(unfit)
    assert compatibility.nix_advice() in unfit.hint


@pytest.mark.parametrize(
    ("build", "words", "remedy"),
    [
        ("echo 'error: cannot build' >&2; exit 100", "ended with status 100: error: cannot build", "choose another"),
        ("kill -ILL $$", "told to build a file and a symlink, it died of SIGILL", "choose another"),
        ("sleep 3", "told to build a file and a symlink, it did not answer", "choose another"),
        ("exit 0", "said nothing that Nix says", "choose another"),
        (BUILD.replace("ln -s", ": "), "does not hold what was to be built", "choose another"),
        (f"{BUILD}\nexit 1", "ended with status 1", "choose another"),
        (None, "could not be started", "choose another"),
        (
            "echo \"error: clearing flags of path '/nix/store/x/link': Invalid argument\" >&2; exit 1",
            "lchflags() gives EINVAL",
            "«compat»",
        ),
        ("echo \"error: executing '/usr/bin/sandbox-exec'\" >&2; exit 1", "which Darling lacks", "2.25"),
    ],
)
def test_a_nix_that_tells_its_version_but_cannot_build_is_said_to(
    guest: Guest, build: str | None, words: str, remedy: str
) -> None:
    unfit = guest.examine(guest.nix(build=build))

    assert unfit
    assert words in unfit.how
    assert remedy in unfit.hint
    assert "known to work" in unfit.hint


def test_a_nix_whose_death_takes_the_shell_along_is_unfit(guest: Guest) -> None:
    guest.world.darling.answers["/usr/bin/env"] = lambda _command: (0, "")

    unfit = guest.examine(guest.nix())

    assert unfit
    assert "took its shell along" in unfit.how


def test_the_greeting_of_a_derivative_is_a_version_too(guest: Guest) -> None:
    assert guest.examine(guest.nix(version="echo 'nix-store (Lix, like Nix) 2.91.1'")) is None


def test_what_a_guest_prints_of_itself_is_no_part_of_the_answer(guest: Guest) -> None:
    noisy = f"echo 'Unimplemented syscall (488)'\n{VERSION}"
    assert guest.examine(guest.nix(version=noisy)) is None
