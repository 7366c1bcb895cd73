"""Keys replaced: no login fails at any moment, and wherever it is interrupted it goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from darlingbuilder.adapters.world import World
from darlingbuilder.core import keypair
from darlingbuilder.core.errors import BuilderError, DarlingError, NixError
from darlingbuilder.core.machines import Machine as Line
from darlingbuilder.core.paths import HOST_KEY, next_of, public_half
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.keyring import Keyring, Role
from darlingbuilder.steps.registration import Registration
from darlingbuilder.steps.rotation import Proof, Rotation
from darlingbuilder.steps.sshd import Sshd
from darlingbuilder.steps.succession import Succession
from tests.fakes.callers import Callers, FakeSshd, WatchedFuse
from tests.fakes.furnished import furnish, scratch, seen
from tests.fakes.fuse import fused_world
from tests.fakes.history import Machine
from tests.fakes.world import FakeWorld
from tests.names import LOCK, OUR_MACHINES

BOTH = (Role.USER, Role.HOST)


@dataclass
class Site:
    """A builder in use, with callers at every moment."""

    machine: Machine
    fuse: WatchedFuse
    sshd: FakeSshd
    callers: Callers

    @property
    def world(self) -> FakeWorld:
        return self.machine.world

    @property
    def ring(self) -> Keyring:
        return Keyring(Settings(), self.world.host)

    def rotation(self, *roles: Role, prove: Proof | None = None) -> Rotation:
        return Rotation(
            Settings(),
            self.world,
            roles or BOTH,
            hooks=self.callers,
            door=self.sshd,
            prove=prove or self.callers.prove,
            patience=0.01,
        )

    def rotate(self, *roles: Role) -> None:
        self.rotation(*roles).run(lambda: self.begin(*roles))

    def bring(self, secrets: dict[Role, Path]) -> None:
        """Import a copy of each of ``secrets``."""
        self.rotation(*secrets).run(
            lambda: [Succession(Settings(), self.world, role).bring(secrets[role], copy=True) for role in secrets]
        )

    def begin(self, *roles: Role) -> None:
        for role in roles or BOTH:
            Succession(Settings(), self.world, role).generate()

    def interrupted(self, moment: int, act: Callable[[], None] | None = None) -> bool:
        """Rotate, or ``act``, and be interrupted when ``moment`` things have been done; false if it ended before."""
        return self.machine.interrupted(lambda _: (act or self.rotate)(), moment)

    def keys(self) -> dict[Role, str]:
        return {role: keypair.needed(self.world.host, self.ring.path(role)).text for role in Role}

    def assert_rotated(self, before: dict[Role, str]) -> None:
        assert self.callers.failures == []
        after = self.keys()
        assert all(before[role] != after[role] for role in Role)
        assert self.machine.wrong() == []
        assert self.sshd.shown == after[Role.HOST]
        assert self.sshd.admits(after[Role.USER])
        assert not self.sshd.admits(before[Role.USER])
        assert [role for role in Role if self.ring.coming(role)] == []


@contextmanager
def site(*, modern: bool = True) -> Iterator[Site]:
    with scratch() as directory:
        fuse = WatchedFuse()
        world = furnish(fused_world(directory, fuse))
        machine = Machine(world, fuse, seen(world.host.root))
        machine.init()
        sshd = FakeSshd(world, modern=modern)
        fuse.callers = Callers(world, sshd, Settings())
        yield Site(machine, fuse, sshd, fuse.callers)


@pytest.mark.parametrize("modern", [True, False], ids=["OpenSSH 10", "OpenSSH 8.1"])
def test_no_login_fails_while_both_keys_are_replaced(*, modern: bool) -> None:
    with site(modern=modern) as one:
        before = one.keys()
        one.rotate()
        one.assert_rotated(before)
        assert one.callers.waited != []  # hooks that knew the old host key alone


@pytest.mark.parametrize("role", Role)
def test_one_key_alone_is_replaced(role: Role) -> None:
    with site() as one:
        before = one.keys()
        one.rotate(role)
        after = one.keys()
        assert {changed for changed in Role if before[changed] != after[changed]} == {role}
        assert (one.callers.failures, one.machine.wrong()) == ([], [])


@pytest.mark.parametrize(("modern", "between"), [(True, "init"), (False, "nothing")], ids=["10, init", "8.1"])
def test_interrupted_at_any_moment_it_can_be_repeated(*, modern: bool, between: str) -> None:
    moment, going_on = 0, True
    while going_on:
        with site(modern=modern) as one:
            before = one.keys()
            going_on = one.interrupted(moment)
            pid = one.world.systemd.unit("darling-builder.service").main_pid
            if between == "init":
                one.machine.init()
                assert one.world.systemd.unit("darling-builder.service").main_pid == pid, moment
            if going_on:
                one.rotate()
            if one.keys()[Role.USER] == before[Role.USER]:
                one.rotate()  # it had just ended
            one.assert_rotated(before)
        moment += 1
    assert moment > 15


def test_what_an_interrupted_rotation_has_made_can_be_withdrawn() -> None:
    moment, going_on = 0, True
    while going_on:
        with site() as one:
            going_on = one.interrupted(moment)
            one.fuse.callers = None
            one.machine.uninstall()
            one.world.host.remove(LOCK)
            assert one.machine.is_as_before(), moment
        moment += 1


def test_what_an_interrupted_import_of_copies_has_made_can_be_withdrawn() -> None:
    moment, going_on = 0, True
    while going_on:
        with site() as one:
            secrets = {role: Path(f"/srv/secrets/{role.value}") for role in Role}
            for secret in secrets.values():
                one.world.host.write(secret, keypair.generate("vault"), mode=0o400)
            going_on = one.interrupted(moment, partial(one.bring, secrets))
            one.fuse.callers = None
            one.machine.uninstall()
            for leftover in (LOCK, Path("/srv")):
                one.world.host.remove(leftover)
            assert one.machine.is_as_before(), moment
        moment += 1
    assert moment > 15


def test_the_model_of_the_callers_notices_a_host_key_that_comes_too_early() -> None:
    with site() as one:
        Succession(Settings(), one.world, Role.HOST).generate()
        one.callers.come()
        Sshd(Settings(), one.world).show_next()
        one.sshd.show(one.ring.valid(Role.HOST)[-1].text)
        one.callers.come()
        assert "Host key verification failed" in one.callers.failures


def test_the_model_of_the_callers_notices_a_user_key_that_is_replaced_under_them() -> None:
    with site() as one:
        Succession(Settings(), one.world, Role.USER).generate()
        Sshd(Settings(), one.world).apply()
        one.callers.come()
        content = one.world.host.read(next_of(one.ring.path(Role.USER))) or b""
        one.world.host.remove(public_half(one.ring.path(Role.USER)))
        one.world.host.write(one.ring.path(Role.USER), content, mode=0o600)
        one.callers.come()
        assert "private key contents do not match public" in one.callers.failures


def test_hooks_that_do_not_go_are_waited_for_in_vain_and_nothing_is_broken() -> None:
    with site() as one:
        one.callers.stubborn = True
        before = one.keys()
        one.callers.come()
        # when
        with pytest.raises(NixError, match="know the old host key alone") as caught:
            one.rotate()
        # then
        assert "darlingbuilder keys rotate --host" in caught.value.hint
        assert (one.callers.failures, one.keys(), one.machine.wrong()) == ([], before, [])
        one.callers.stubborn = False
        one.rotate()
        one.assert_rotated(before)


def test_an_sshd_that_does_not_take_the_new_key_leaves_both_in_force() -> None:
    with site() as one:
        before, one.sshd.deaf = one.keys(), True
        with pytest.raises(DarlingError, match="still shows the old host key"):
            one.rotate()
        assert (one.callers.failures, one.keys(), one.machine.wrong()) == ([], before, [])
        one.sshd.deaf = False
        one.rotate()
        one.assert_rotated(before)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_proof_that_fails_stops_it_with_both_keys_in_force(number: int) -> None:
    with site() as one:
        before, proofs = one.keys(), []

        def fail(settings: Settings, world: World, line: Line | None) -> None:
            proofs.append(line)
            if len(proofs) > number:
                raise BuilderError("login: no", hint="see the logs")
            one.callers.prove(settings, world, line)

        # when
        with pytest.raises(BuilderError, match="login: no"):
            one.rotation(prove=fail).run(one.begin)
        # then: as long as nobody could log in, nothing was begun
        assert [bool(one.ring.coming(role)) for role in BOTH] == [number > 0] * 2
        # and: as whatever stopped it is over
        one.callers.come()
        one.rotate()
        one.assert_rotated(before)


def test_the_last_proof_knows_the_new_keys_alone() -> None:
    with site() as one:
        old, lines = one.keys(), []

        def note(settings: Settings, world: World, line: Line | None) -> None:
            lines.append(line)
            one.callers.prove(settings, world, line)

        one.rotation(prove=note).run(one.begin)
        first, second, third = lines
        assert first is None
        assert second is not None
        assert second.key == str(next_of(one.ring.path(Role.USER)))
        assert third is not None
        assert third.pinned == (one.keys()[Role.HOST],)
        assert old[Role.HOST] in second.pinned


def test_a_line_with_two_pinned_keys_is_one_that_nix_takes() -> None:
    with site() as one:
        Succession(Settings(), one.world, Role.HOST).generate()
        Registration(Settings(), one.world).apply()
        entry = (one.world.host.read(OUR_MACHINES) or b"").decode().splitlines()[-1]
        assert len(entry.split()) == 8
        assert len(one.ring.valid(Role.HOST)) == 2


def test_the_guests_key_file_stays_as_old_as_it_was() -> None:
    with site() as one:
        before = one.world.darling.files().attributes(HOST_KEY)
        one.rotate()
        assert one.world.darling.files().attributes(HOST_KEY) == before
