"""The proof that host and guest do not wait for each other, and stores that it has to refuse."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.adapters.namespaces import Layers
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import GUEST_NIX, STORE, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import deadlock
from darlingbuilder.steps.store import Store
from tests.fakes.darling import Answer
from tests.fakes.furnished import chosen, furnish, scratch, seen
from tests.fakes.world import FakeWorld, fake_world

PATHS = Paths(Settings())
LEFT = ".darlingbuilder-0123456789abcdef.lock"


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    """Give a machine whose container is down."""
    with scratch() as root:
        world = furnish(fake_world(root)).with_prefix()
        world.host.write(PATHS.store / "guests", b"")
        yield world


def settings(mode: str) -> Settings:
    return chosen(store=mode).settings


def boot(world: FakeWorld, mode: str) -> None:
    account = world.accounts.find("darlingbuilder")
    world.host.make_directory(PATHS.nix, owner=account.owner if account else None)
    Store(settings(mode), world).apply()
    with world.host.real(PATHS.boot_log).open("ab") as log:
        world.darling.boot(log)
    Store(settings(mode), world).mount()


@pytest.mark.parametrize("mode", ["copy", "overlay"])
def test_a_store_of_its_own_passes_and_nothing_is_left(world: FakeWorld, mode: str) -> None:
    boot(world, mode)
    before = seen(world.host.root)

    deadlock.prove(settings(mode), world)

    assert seen(world.host.root) == before


@pytest.mark.parametrize("mode", ["copy", "overlay"])
def test_the_host_s_own_store_is_refused_and_nothing_is_left(world: FakeWorld, mode: str) -> None:
    # given: somebody has bound it there
    boot(world, mode)
    world.darling.overlays.clear()
    world.darling.mounts[GUEST_NIX] = world.host.real(STORE.parent)
    before = seen(world.host.root)
    # when
    with pytest.raises(DarlingError, match=r"is the host's own: a lock \(fcntl and flock\)") as caught:
        deadlock.prove(settings(mode), world)
    # then
    assert "darlingbuilder init" in caught.value.hint
    assert seen(world.host.root) == before


def test_one_file_that_both_have_is_enough(world: FakeWorld) -> None:
    # given: an overlay whose upper layer is the host's store
    boot(world, "overlay")
    [(target, layers)] = world.darling.overlays.items()
    shared: Layers = replace(layers, upper=layers.lower)
    world.darling.overlays[target] = shared

    with pytest.raises(DarlingError, match="is the host's own"):
        deadlock.prove(settings("overlay"), world)


def test_what_an_interrupted_proof_has_left_is_swept_and_nothing_else(world: FakeWorld) -> None:
    boot(world, "copy")
    world.host.write(STORE / LEFT, b"")
    world.host.write(PATHS.store / LEFT, b"")
    world.host.write(STORE / f"{LEFT}x", b"")

    deadlock.prove(settings("copy"), world)

    assert LEFT not in [*world.host.names(STORE), *world.host.names(PATHS.store)]
    assert f"{LEFT}x" in world.host.names(STORE)


def test_a_guest_without_a_store_is_an_error(world: FakeWorld) -> None:
    boot(world, "copy")
    world.host.remove(PATHS.store)

    with pytest.raises(DarlingError, match=r"cannot be tried .*No such file"):
        deadlock.prove(settings("copy"), world)


def shell(*, writes: bool, speaks: bool = True) -> Answer:
    def answer(command: tuple[str, ...]) -> tuple[int, str]:
        word, *files = command[4:]
        lines = [f"{word} open {file}" for file in files] if writes else []
        return 0, "\n".join([*lines, f"{word} end", ""]) if speaks else "Unimplemented syscall\n"

    return answer


def test_a_link_passes_where_the_guest_can_write_nothing(world: FakeWorld) -> None:
    boot(world, "symlink")
    world.darling.answers["/bin/sh"] = shell(writes=False)
    before = seen(world.host.root)

    deadlock.prove(settings("symlink"), world)

    assert seen(world.host.root) == before


def test_a_link_to_a_store_that_the_guest_can_write_is_refused(world: FakeWorld) -> None:
    boot(world, "symlink")
    world.darling.answers["/bin/sh"] = shell(writes=True)

    with pytest.raises(DarlingError, match="darlingbuilder can write in it"):
        deadlock.prove(settings("symlink"), world)


def test_a_guest_that_does_not_say_is_an_error(world: FakeWorld) -> None:
    boot(world, "symlink")
    world.darling.answers["/bin/sh"] = shell(writes=False, speaks=False)

    with pytest.raises(DarlingError, match=r"did not say .*Unimplemented syscall"):
        deadlock.prove(settings("symlink"), world)


@pytest.mark.parametrize("open_to_guest", [True, False])
def test_what_the_guest_is_asked_tells_whether_it_can_write(tmp_path: Path, *, open_to_guest: bool) -> None:
    """The script itself, by the shell of this machine."""
    place = tmp_path / ("there" if open_to_guest else "nowhere")
    (tmp_path / "there").mkdir()
    said = process.run("/bin/sh", "-c", deadlock.SCRIPT, "deadlock", "word", place / "a b")

    assert said.stdout.splitlines() == [*([f"word open {place}/a b"] if open_to_guest else []), "word end"]
