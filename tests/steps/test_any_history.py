"""Whatever has happened to a machine, interruptions and damage included, one ``init`` or ``uninstall`` is enough."""

from contextlib import ExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from darlingbuilder.core.attributes import Kind
from darlingbuilder.core.paths import (
    AUTHORIZED_KEYS,
    CA_BUNDLE,
    GUEST_NIX,
    HOST_KEY,
    NIX_CONF,
    PASSWD,
    SSHD_CONFIG,
    Paths,
    public_half,
)
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree
from tests.fakes.furnished import chosen
from tests.fakes.history import machine
from tests.names import OUR_MACHINES, SSH_ALIAS, SYSUSERS, UNIT, UNIT_FILE

PATHS = Paths(Settings())
PRIVATE = (PATHS.key, PATHS.host_key)
PUBLIC = tuple(public_half(path) for path in PRIVATE)
ON_HOST = (
    *PUBLIC, PATHS.known_hosts, SYSUSERS, UNIT_FILE, SSH_ALIAS, OUR_MACHINES,
)  # fmt: skip
IN_GUEST = (SSHD_CONFIG, HOST_KEY, AUTHORIZED_KEYS, NIX_CONF, CA_BUNDLE)
PROFILE = PATHS.nix / "var/nix/profiles/default"
CONFIGS = {"default": chosen(), "moved": chosen(port="2022"), "older": chosen(nix__version="2.19.3")}
CONFIGS |= {store: chosen(store=store) for store in ("overlay", "symlink")}
configs = st.sampled_from(sorted(CONFIGS))
moments = st.integers(0, 90)


class History(RuleBasedStateMachine):
    """One machine and what happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.machine = self.stack.enter_context(machine())

    def teardown(self) -> None:
        self.stack.close()

    @rule(config=configs)
    def an_init_that_ends_makes_all_right(self, config: str) -> None:
        self.machine.init(CONFIGS[config])
        assert self.machine.wrong(CONFIGS[config]) == []

    @rule(config=configs, moment=moments)
    def an_init_is_interrupted(self, config: str, moment: int) -> None:
        self.machine.interrupted(lambda machine: machine.init(CONFIGS[config]), moment)

    @rule()
    def an_uninstall_that_ends_leaves_nothing(self) -> None:
        self.machine.uninstall()
        assert self.machine.is_as_before()

    @rule(moment=moments)
    def an_uninstall_is_interrupted(self, moment: int) -> None:
        self.machine.interrupted(lambda machine: machine.uninstall(), moment)

    @rule(path=st.sampled_from((*ON_HOST, *PRIVATE, PROFILE)))
    def a_file_of_the_host_is_lost(self, path: Path) -> None:
        self.machine.world.host.remove(path)

    @rule(path=st.sampled_from((*IN_GUEST, PASSWD, GUEST_NIX)))
    def a_file_of_the_guest_is_lost(self, path: Path) -> None:
        if self.machine.world.darling.prefix.exists():
            self.guest.remove(path)

    @rule(path=st.sampled_from(ON_HOST), text=st.sampled_from([None, b"# edited\n"]))
    def a_file_of_the_host_is_emptied_or_edited(self, path: Path, text: bytes | None) -> None:
        # Whose an empty public key was, nobody could tell without the private half.
        _edit(self.machine.world.host, path, text or (b"# edited\n" if path in PUBLIC else None))

    @rule(path=st.sampled_from(IN_GUEST), text=st.sampled_from([None, b"# edited\n"]))
    def a_file_of_the_guest_is_emptied_or_edited(self, path: Path, text: bytes | None) -> None:
        if self.machine.world.darling.prefix.exists():
            _edit(self.guest, path, text)

    @rule(path=st.sampled_from((*ON_HOST, *PRIVATE)), mode=st.sampled_from([0o600, 0o644, 0o666]))
    def a_mode_is_changed(self, path: Path, mode: int) -> None:
        found = self.machine.world.host.attributes(path)
        if found and found.kind is Kind.FILE:
            self.machine.world.host.set_attributes(path, mode=mode, owner=found.owner)

    @rule(verb=st.sampled_from(["stop", "disable"]))
    def the_service_is_stopped_or_disabled(self, verb: str) -> None:
        getattr(self.machine.world.systemd, verb)(UNIT)

    @rule()
    def the_service_is_masked(self) -> None:
        found = self.machine.world.host.attributes(UNIT_FILE)
        if found and found.kind is Kind.FILE:
            self.machine.world.host.remove(UNIT_FILE)
            self.machine.world.host.write_link(UNIT_FILE, "/dev/null")

    @property
    def guest(self) -> Tree:
        return self.machine.world.darling.files()


def _edit(tree: Tree, path: Path, addition: bytes | None) -> None:
    """Put ``addition`` at the end of a file that has a beginning, or take everything out of it."""
    content, found = tree.read(path), tree.attributes(path)
    if content and found and found.kind is Kind.FILE:
        tree.write(path, content + addition if addition else b"", mode=found.mode, owner=found.owner)


def test_whatever_has_happened_one_command_is_enough() -> None:
    run_state_machine_as_test(
        History, settings=settings(max_examples=40, stateful_step_count=12, deadline=None, derandomize=True)
    )
