"""What every Systemd does: the fake and, on a machine that may be changed, the real one."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from darlingbuilder.adapters.systemd import Activity, Systemd
from darlingbuilder.adapters.systemdbus import SystemdBus
from darlingbuilder.core import wait
from darlingbuilder.core.errors import CanceledJobError, SystemdError
from darlingbuilder.core.tree import Tree
from tests.fakes.ledger import LedgerTree
from tests.fakes.systemd import FakeSystemd
from tests.real import MAY_BE_CHANGED

UNIT = "contract.service"
BROKEN = "contract-broken.service"
SLEEP = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
SLOW = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 2\n"
FAIL = "[Service]\nType=oneshot\nExecStart=/bin/false\n"
COMPLAIN = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo x not found: No such file or directory; exit 1'\n"
DIRECTORY = Path("/etc/systemd/system")


@dataclass(frozen=True)
class Ground:
    """A systemd, and the host whose unit files it reads; ``BROKEN`` is a unit whose start fails."""

    host: Tree
    systemd: Systemd

    def write(self, text: str, *, name: str = UNIT) -> None:
        self.host.write(DIRECTORY / name, text.encode())
        self.systemd.reload()

    def write_drop_in(self, text: str) -> Path:
        path = DIRECTORY / f"{UNIT}.d" / "more.conf"
        self.host.write(path, text.encode())
        return path

    def spoil(self) -> None:
        """Have the next start of ``UNIT`` fail, with something in its journal that is missing."""
        self.write(COMPLAIN)
        if isinstance(self.systemd, FakeSystemd):
            self.systemd.broken.add(UNIT)

    def clear(self) -> None:
        for name in (UNIT, BROKEN):
            self.systemd.stop(name)
            self.systemd.disable(name)
            self.systemd.reset_failed(name)
            self.host.remove(DIRECTORY / name)
            self.host.remove(DIRECTORY / f"{name}.d")
        self.systemd.reload()


def fake(directory: Path) -> Ground:
    host = LedgerTree(directory)
    return Ground(host, FakeSystemd(host, broken={BROKEN}))


def real(_directory: Path) -> Ground:
    return Ground(Tree(Path("/")), SystemdBus(seconds_between_looks=0.1))


@pytest.fixture(params=[fake, *([real] if MAY_BE_CHANGED else [])], ids=lambda make: make.__name__)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    made: Ground = request.param(tmp_path)
    yield made
    made.clear()


@pytest.fixture
def systemd(ground: Ground) -> Systemd:
    return ground.systemd


def test_a_unit_that_is_not_there_is_inactive_and_not_found(systemd: Systemd) -> None:
    state = systemd.unit(UNIT)
    assert (state.activity, state.sub, state.load, state.file_state) == (Activity.INACTIVE, "dead", "not-found", "")
    assert (state.since, state.main_pid, state.restarts, state.needs_reload) == (0.0, 0, 0, False)


def test_what_is_not_there_can_be_stopped_disabled_and_forgotten(systemd: Systemd) -> None:
    systemd.stop(UNIT)
    systemd.try_restart(UNIT)
    systemd.disable(UNIT)
    systemd.reset_failed(UNIT)
    systemd.send(UNIT, signal.SIGUSR1)


@pytest.mark.parametrize("verb", ["start", "restart", "enable"])
def test_what_is_not_there_cannot_be_started_nor_enabled(systemd: Systemd, verb: str) -> None:
    with pytest.raises(SystemdError, match=UNIT):
        getattr(systemd, verb)(UNIT)
    assert systemd.unit(UNIT).activity is Activity.INACTIVE


def test_a_unit_file_is_read(ground: Ground) -> None:
    ground.write(SLEEP)
    state = ground.systemd.unit(UNIT)
    assert (state.load, state.file_state, state.activity) == ("loaded", "disabled", Activity.INACTIVE)
    assert not state.needs_reload


def test_a_started_unit_runs(ground: Ground) -> None:
    ground.write(SLEEP)
    before = time.time()

    ground.systemd.start(UNIT)

    state = ground.systemd.unit(UNIT)
    assert (state.activity, state.sub, state.outcome) == (Activity.ACTIVE, "running", "success")
    assert before - 1 <= state.since <= time.time() + 1
    assert state.main_pid > 0


def test_starting_what_runs_leaves_it_running(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)
    before = ground.systemd.unit(UNIT)

    ground.systemd.start(UNIT)

    assert ground.systemd.unit(UNIT) == before


@pytest.mark.parametrize("verb", ["restart", "try_restart"])
def test_a_restart_makes_another_process(ground: Ground, verb: str) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)
    before = ground.systemd.unit(UNIT)

    getattr(ground.systemd, verb)(UNIT)

    after = ground.systemd.unit(UNIT)
    assert after.activity is Activity.ACTIVE
    assert after.main_pid != before.main_pid
    assert after.since >= before.since
    assert after.restarts == 0  # those are systemd's own


def test_a_restart_starts_what_does_not_run(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.restart(UNIT)
    assert ground.systemd.unit(UNIT).activity is Activity.ACTIVE


def test_a_try_restart_leaves_alone_what_does_not_run(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.try_restart(UNIT)
    assert ground.systemd.unit(UNIT).activity is Activity.INACTIVE


@pytest.mark.parametrize("verb", ["restart", "try_restart"])
def test_a_restart_that_fails_is_an_error_whatever_the_journal_says(ground: Ground, verb: str) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)
    ground.spoil()

    with pytest.raises(SystemdError, match=UNIT):
        getattr(ground.systemd, verb)(UNIT)

    assert ground.systemd.unit(UNIT).activity is Activity.FAILED


def test_a_stopped_unit_does_not_run_and_can_be_stopped_again(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)
    for _ in range(2):
        ground.systemd.stop(UNIT)
        state = ground.systemd.unit(UNIT)
        assert (state.activity, state.sub, state.main_pid) == (Activity.INACTIVE, "dead", 0)


def test_a_stop_that_takes_its_time_is_waited_for(ground: Ground) -> None:
    ground.write(SLOW)
    ground.systemd.start(UNIT)

    ground.systemd.stop(UNIT)

    assert ground.systemd.unit(UNIT).activity is Activity.INACTIVE


# The fake does one thing at a time.
if MAY_BE_CHANGED:

    def test_a_stop_that_a_start_overtakes_is_canceled(tmp_path: Path) -> None:
        ground = real(tmp_path)
        ground.write(SLOW)
        ground.systemd.start(UNIT)
        try:
            with ThreadPoolExecutor(1) as elsewhere:
                stopped = elsewhere.submit(SystemdBus().stop, UNIT)
                assert wait.until(lambda: ground.systemd.unit(UNIT).activity is Activity.DEACTIVATING, seconds=5)
                ground.systemd.start(UNIT)
                with pytest.raises(CanceledJobError, match=UNIT):
                    stopped.result(timeout=10)
            assert ground.systemd.unit(UNIT).activity is Activity.ACTIVE
        finally:
            ground.clear()


def test_a_start_that_fails_is_an_error_and_stays_failed_until_it_is_forgotten(ground: Ground) -> None:
    ground.write(FAIL, name=BROKEN)

    with pytest.raises(SystemdError, match=BROKEN):
        ground.systemd.start(BROKEN)

    state = ground.systemd.unit(BROKEN)
    assert (state.activity, state.sub, state.outcome) == (Activity.FAILED, "failed", "exit-code")
    ground.systemd.reset_failed(BROKEN)
    state = ground.systemd.unit(BROKEN)
    assert (state.activity, state.outcome) == (Activity.INACTIVE, "success")


@pytest.mark.parametrize("verb", ["start", "enable"])
def test_a_changed_file_of_a_unit_in_use_wants_to_be_read_again(ground: Ground, verb: str) -> None:
    ground.write(SLEEP)
    getattr(ground.systemd, verb)(UNIT)
    assert not ground.systemd.unit(UNIT).needs_reload

    ground.host.write(DIRECTORY / UNIT, f"# changed\n{SLEEP}".encode())

    assert ground.systemd.unit(UNIT).needs_reload
    ground.systemd.reload()
    assert not ground.systemd.unit(UNIT).needs_reload


def test_a_changed_file_of_a_unit_that_nothing_needs_is_read_anew(ground: Ground) -> None:
    ground.write(SLEEP)
    assert ground.systemd.unit(UNIT).load == "loaded"

    ground.host.write(DIRECTORY / UNIT, f"# changed\n{SLEEP}".encode())

    assert not ground.systemd.unit(UNIT).needs_reload


def test_a_running_unit_survives_a_reload(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)
    before = ground.systemd.unit(UNIT)

    ground.systemd.reload()

    assert ground.systemd.unit(UNIT) == before


def test_a_unit_whose_file_was_removed_is_not_found_once_it_has_ended(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)
    ground.host.remove(DIRECTORY / UNIT)
    ground.systemd.reload()
    assert ground.systemd.unit(UNIT).activity is Activity.ACTIVE

    ground.systemd.stop(UNIT)

    state = ground.systemd.unit(UNIT)
    assert (state.load, state.activity) == ("not-found", Activity.INACTIVE)


def test_a_unit_is_enabled_and_disabled_again(ground: Ground) -> None:
    ground.write(SLEEP)
    for _ in range(2):
        ground.systemd.enable(UNIT)
        assert ground.systemd.unit(UNIT).file_state == "enabled"
    for _ in range(2):
        ground.systemd.disable(UNIT)
        assert ground.systemd.unit(UNIT).file_state == "disabled"


def test_enabling_does_not_start(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.enable(UNIT)
    assert ground.systemd.unit(UNIT).activity is Activity.INACTIVE


def test_a_masked_unit_says_so_and_cannot_be_started(ground: Ground) -> None:
    ground.host.write_link(DIRECTORY / UNIT, os.devnull)
    ground.systemd.reload()

    state = ground.systemd.unit(UNIT)
    assert (state.load, state.file_state) == ("masked", "masked")
    with pytest.raises(SystemdError, match=UNIT):
        ground.systemd.start(UNIT)


def test_the_soft_limit_of_open_files_is_that_of_the_unit_file(ground: Ground) -> None:
    ground.write(SLEEP.replace("[Install]", "LimitNOFILE=300:4096\n[Install]"))
    state = ground.systemd.unit(UNIT)
    assert (state.nofile, state.drop_ins) == (300, ())


def test_a_drop_in_counts_once_it_is_read_and_is_named(ground: Ground) -> None:
    ground.write(SLEEP.replace("[Install]", "LimitNOFILE=300:4096\n[Install]"))
    ground.systemd.start(UNIT)

    drop_in = ground.write_drop_in("[Service]\nLimitNOFILE=500:4096\n")

    assert ground.systemd.unit(UNIT).needs_reload
    ground.systemd.reload()
    state = ground.systemd.unit(UNIT)
    assert (state.nofile, state.drop_ins, state.needs_reload) == (500, (str(drop_in),), False)


def test_a_service_without_a_limit_of_its_own_has_systemds(ground: Ground) -> None:
    ground.write(SLEEP)
    assert ground.systemd.unit(UNIT).nofile != 300


CALLS: dict[str, Callable[[Systemd], object]] = {
    "unit": lambda systemd: systemd.unit(UNIT),
    "start": lambda systemd: systemd.start(UNIT),
    "stop": lambda systemd: systemd.stop(UNIT),
    "restart": lambda systemd: systemd.restart(UNIT),
    "try_restart": lambda systemd: systemd.try_restart(UNIT),
    "reload": lambda systemd: systemd.reload(),
    "enable": lambda systemd: systemd.enable(UNIT),
    "disable": lambda systemd: systemd.disable(UNIT),
    "reset_failed": lambda systemd: systemd.reset_failed(UNIT),
    "send": lambda systemd: systemd.send(UNIT, signal.SIGUSR1),
    "manager": lambda systemd: systemd.manager(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_where_nobody_answers_every_call_is_an_error(
    ground: Ground, call: Callable[[Systemd], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(ground.systemd, FakeSystemd):
        deaf: Systemd = FakeSystemd(ground.host, reachable=False)
    else:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
        deaf = SystemdBus()
    with pytest.raises(SystemdError) as caught:
        call(deaf)
    assert caught.value.hint


def test_how_a_unit_has_ended_is_told_until_it_is_started_anew(ground: Ground) -> None:
    ground.write(FAIL, name=BROKEN)
    with pytest.raises(SystemdError):
        ground.systemd.start(BROKEN)
    state = ground.systemd.unit(BROKEN)
    assert (state.outcome, state.ended) == ("exit-code", "status 1")

    ground.write(SLEEP)
    ground.systemd.start(UNIT)
    assert ground.systemd.unit(UNIT).ended == ""


def test_a_stop_that_is_begun_comes_to_its_end(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)

    ground.systemd.begin_stop(UNIT)

    assert wait.until(lambda: ground.systemd.unit(UNIT).activity is Activity.INACTIVE, seconds=10)
    ground.systemd.begin_stop(UNIT)
    ground.systemd.begin_stop("contract-absent.service")


def test_a_signal_reaches_the_main_process(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.start(UNIT)

    ground.systemd.send(UNIT, signal.SIGUSR1)

    assert wait.until(lambda: ground.systemd.unit(UNIT).activity is Activity.FAILED, seconds=5)
    state = ground.systemd.unit(UNIT)
    assert (state.outcome, state.ended) == ("signal", "signal USR1")


def test_what_has_no_process_takes_a_signal_without_a_word(ground: Ground) -> None:
    ground.write(SLEEP)
    ground.systemd.enable(UNIT)
    ground.systemd.send(UNIT, signal.SIGUSR1)
    assert ground.systemd.unit(UNIT).activity is Activity.INACTIVE


def test_a_machine_that_runs_does_not_go_down_and_leaves_units_some_time(systemd: Systemd) -> None:
    manager = systemd.manager()
    assert not manager.stopping
    assert manager.stop_seconds is None or manager.stop_seconds > 1
