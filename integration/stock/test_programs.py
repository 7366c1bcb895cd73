"""The suite's own means, tested without a Darling: the programs build, and what is portable is right on Linux."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.conformance import fixtures, processes
from integration.conformance.processes import Account

from . import macho
from .compiler import PROGRAMS, darwin_programs, native_program
from .guest import WHOLE
from .test_corrections import POLLS
from .test_environment import VISIBLE, WAYS
from .test_signals import BASH_DIES, FATAL_TO_BASH, LETHAL, NATURAL, NUMBERS, PIPELINE, PROGRAM_DIES, RESET, TRAPS
from .test_sshd import config_for
from .test_untouched import EVERYDAY

SECONDS = 30
SERVED = "unasked: served\nfamily: right\nasked: served\ngroup: exit 0\n"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run a program on this machine, built for it where it is one of the suite's; return what it printed."""
    directory = Path(tempfile.mkdtemp(prefix="dbp-"))
    me = fixtures.my_account()

    def printed(program: str, *words: str) -> str:
        if program in PROGRAMS:
            built = directory / program
            program = str(built if built.exists() else native_program(program, directory))
        return _printed(me, program, *words)

    yield printed
    shutil.rmtree(directory)


def _printed(me: Account, *argv: str) -> str:
    with tempfile.TemporaryFile() as out:
        env = {"PATH": "/usr/bin:/bin", "LANG": "C"}
        # Started in the background, this very suite may have signals ignored, and hand that on.
        plain = ("/usr/bin/env", "--default-signal", *argv)
        client = processes.start(plain, me, env=env, streams=(processes.NOWHERE, out, processes.NOWHERE))
        try:
            client.wait(SECONDS)
        finally:
            processes.end(client)
        out.seek(0)
        return out.read().decode()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_a_small_macho_executable_that_needs_the_system_library_alone(name: str) -> None:
    built = darwin_programs() / name
    image = built.read_bytes()
    head = macho.parse(image)
    assert (head.architecture, head.kind) == (macho.X86_64, macho.EXECUTABLE)
    assert head.libraries == ("/usr/lib/libSystem.B.dylib",)
    assert head.oldest_macos <= 11
    assert len(image) < 65536
    assert built.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("how", ["fork", "exec", "spawn"])
@pytest.mark.parametrize("name", [*NUMBERS, "KILL"])
def test_a_signal_ends_its_process_alone(run: Run, how: str, name: str) -> None:
    assert run("signals", how, "kill", name) == LETHAL.format(name)


@pytest.mark.parametrize("cause", ["raise", "thread", "parent"])
def test_a_signal_ends_it_wherever_it_comes_from(run: Run, cause: str) -> None:
    assert run("signals", "exec", cause, "TERM") == LETHAL.format("TERM")


@pytest.mark.parametrize("name", NATURAL)
def test_a_program_brings_its_signal_about(run: Run, name: str) -> None:
    assert run("signals", "fork", "nature", name) == LETHAL.format(name)


@pytest.mark.parametrize("call", ["sigaction", "signal"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_handler_is_set_and_taken_back(run: Run, call: str, name: str) -> None:
    assert run("dispositions", "reset", call, name) == RESET.format(name)


def test_dispositions_are_read_as_they_are(run: Run) -> None:
    assert run("dispositions", "flags", "TERM") == "flags: kept\nhandler: kept\nmask: kept\n"
    assert run("dispositions", "read", "TERM", "BUS") == "TERM default\nBUS default\n"


def test_what_is_ignored_stays_so_over_exec(run: Run) -> None:
    run("dispositions", "read", "TERM")
    assert run("nice", "bash", "-c", "trap '' TERM; nice bash -c 'kill -TERM $$; echo alive'") == "alive\n"


@pytest.mark.parametrize("family", ["inet", "unix"])
def test_a_connection_is_accepted_unasked(run: Run, family: str) -> None:
    assert run("acceptnull", family) == SERVED


def test_a_poll_without_limit_is_cancelled(run: Run) -> None:
    assert run("polling", "cancel") == "cancelled\n"


@pytest.mark.parametrize("what", POLLS)
def test_a_poll_ends(run: Run, what: str) -> None:
    assert run("polling", what) == POLLS[what]


def test_a_socket_has_no_options(run: Run) -> None:
    assert run("sockopt") == "0 0\n"


@pytest.mark.parametrize("way", ["execve", "execle", "posix_spawn", "posix_spawnp", "vfork"])
def test_a_program_is_given_an_environment(run: Run, way: str) -> None:
    assert run("spawns", way, "/usr/bin/env") == "A=1\nB=2\nchild: exit 0\n"


@pytest.mark.parametrize("way", ["execv", "execvp", "execl", "execlp", "system", "popen"])
def test_a_program_is_given_ours(run: Run, way: str) -> None:
    assert "LANG=C\n" in run("spawns", way, "/usr/bin/env")


def test_variables_that_are_set_are_seen_everywhere(run: Run, tmp_path: Path) -> None:
    program = native_program("environment", tmp_path)
    variables = (f"{name}=x" for name in ("DYLD_INSERT_LIBRARIES", "DARLINGBUILDER_COMPAT"))
    assert run("env", *variables, str(program)) == f"loaded: no\n{VISIBLE}"


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_start_a_program_starts_it_once(run: Run, tmp_path: Path, way: str) -> None:
    native_program("environment", tmp_path)
    script = WAYS[way].replace("/private/tmp", str(tmp_path))
    assert run("env", f"PROGRAMS={tmp_path}", "bash", "-c", script) == "loaded: no\n"


@pytest.mark.parametrize("script", EVERYDAY)
def test_an_everyday_script_comes_to_its_end(run: Run, tmp_path: Path, script: str) -> None:
    assert run("bash", "-c", f"{script.replace('/private/tmp', str(tmp_path))}; echo end").endswith("\nend\n")


def test_the_untouched_calls_come_to_an_end(run: Run, tmp_path: Path) -> None:
    lines = run("untouched", str(tmp_path)).splitlines()
    assert lines[-1] == "end"
    assert lines.count("accept(-1, NULL, NULL): -1, errno 9") == 1


@pytest.mark.parametrize("script", TRAPS)
def test_any_bash_traps_so(run: Run, script: str) -> None:
    assert run("bash", "-c", script) == TRAPS[script]


@pytest.mark.parametrize("name", NUMBERS)
def test_any_bash_sees_128_and_the_number(run: Run, tmp_path: Path, name: str) -> None:
    native_program("signals", tmp_path)
    printed = run("env", f"PROGRAMS={tmp_path}", "bash", "-c", PROGRAM_DIES.format(name))
    assert printed == f"begin\n{128 + signal.Signals[f'SIG{name}']}\nend\n"


@pytest.mark.parametrize("name", FATAL_TO_BASH)
def test_any_bash_sees_another_die(run: Run, name: str) -> None:
    printed = run("bash", "-c", BASH_DIES.format(name))
    assert printed == f"begin\n{128 + signal.Signals[f'SIG{name}']}\nend\n"


def test_any_bash_outlives_a_broken_pipe(run: Run) -> None:
    assert run("bash", "-c", PIPELINE) == "y\n141 0\nafter\n"


def test_the_configuration_of_sshd_is_complete() -> None:
    text = config_for("nobody", WHOLE).format(port=2022, directory="/d", environment="")
    assert "\nPort 2022\n" in text
    assert "\nHostKey /d/host\n" in text
    assert "DYLD_INSERT_LIBRARIES=/private/etc/darlingbuilder/compat.dylib" in text
