"""The program as users start it: a process of its own, with signals, pipes, missing libraries and exit codes."""

import fcntl
import json
import os
import re
import signal
import subprocess  # the program itself is tested here, with pipes that adapters.process does not make
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from darlingbuilder import __version__, cli
from darlingbuilder.core import config, declaration, marker
from darlingbuilder.core.errors import (
    BuilderError,
    ConfigError,
    ExitCode,
    InterruptionError,
    PrerequisiteError,
    UsageError,
)
from darlingbuilder.core.paths import Paths
from tests.fakes.ledger import LedgerTree

# Everything that the program is made with, but for msgspec, which the declaration of the settings needs.
LIBRARIES = ("cryptography", "jinja2", "plumbum", "prometheus_client", "pystemd", "rich", "shtab", "structlog")
_START = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ImportError(f"{{name}}: not installed")

sys.meta_path.insert(0, Missing())
from darlingbuilder.cli import main
{before}
sys.exit(main())
"""
# An ordinary user may not see where the interpreter and its libraries lie; so they are loaded first.
_NOBODY = """
import os
from darlingbuilder import cli
cli.parser().format_help()
os.geteuid() or os.seteuid(65534)
"""


def start(
    *words: str,
    missing: Sequence[str] = (),
    before: str = "",
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    variables: dict[str, str] | None = None,
) -> subprocess.Popen[str]:  # noqa: TID251 - see the import
    """Start the program without the libraries ``missing``, as it is at the end of the statement ``before``."""
    code = _START.format(missing=frozenset(missing), before=before)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DARLINGBUILDER_")}
    return subprocess.Popen(  # noqa: TID251 - see the import
        [sys.executable, "-c", code, *words],
        stdout=stdout,
        stderr=stderr,
        env={**ours, "DARLINGBUILDER_CONFIG": os.devnull, **(variables or {})},
        text=True,
        cwd=Path(__file__).parent.parent,
    )


def run(*words: str, missing: Sequence[str] = (), before: str = "") -> tuple[int, str, str]:
    """Run the program to its end; give its status and what it printed."""
    with start(*words, missing=missing, before=before) as started:
        out, err = started.communicate(timeout=60)
    return started.returncode, out, err


def classes(top: type[BuilderError]) -> list[type[BuilderError]]:
    return [top, *(below for one in top.__subclasses__() for below in classes(one))]


def test_each_class_of_errors_has_its_exit_code() -> None:
    own = {UsageError: ExitCode.USAGE, ConfigError: ExitCode.CONFIG, PrerequisiteError: ExitCode.PREREQUISITE}
    own |= {InterruptionError: ExitCode.INTERRUPTED}
    found = {one: one.exit_code for one in classes(BuilderError) if one.__module__ == BuilderError.__module__}
    assert found == {one: own.get(one, ExitCode.FAILED) for one in found}
    assert len(found) > len(own)


def test_the_codes_are_those_that_the_manual_names() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0, "FAILED": 1, "USAGE": 2, "DRIFT": 3, "CONFIG": 4, "PREREQUISITE": 5, "INTERRUPTED": 130
    }  # fmt: skip


@pytest.mark.parametrize("words", [["--help"], ["init", "--help"]], ids=" ".join)
def test_help_needs_no_library(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(words)
    expected = capsys.readouterr().out

    assert run(*words, missing=LIBRARIES) == (0, expected, "")


def test_the_version_needs_no_library() -> None:
    assert run("--version", missing=LIBRARIES) == (0, f"darlingbuilder {__version__}\n", "")


def test_settings_and_manual_need_no_systemd() -> None:
    code, out, err = run("config", "show", "--json", missing=["pystemd"])
    assert (code, err) == (0, "")
    assert json.loads(out).keys() == declaration.table().keys()

    code, out, err = run("man", missing=["pystemd"])
    assert (code, err) == (0, "")
    assert out.startswith('.\\"')


# What a verb may need that looks at the builder, and costs the others what they do not have.
SLOW = ("jsonschema", "prometheus_client", "rich", "shtab", "structlog")


@pytest.mark.parametrize("module", ["init", "serve", "unit", "status", "metrics", "top", "logs"])
def test_a_verb_loads_no_slow_library_before_it_needs_it(module: str) -> None:
    code = f"import sys, darlingbuilder.commands.{module}; print(*sorted({set(SLOW)!r} & sys.modules.keys()))"
    ended = subprocess.run(  # noqa: TID251 - see the import
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent
    )
    assert ended.stdout == "\n"


def test_the_manual_needs_no_library_that_it_only_speaks_of() -> None:
    code, out, err = run("man", missing=["prometheus_client", "rich"])
    assert (code, err) == (0, "")
    assert "darlingbuilder_converged" in out


def test_it_is_a_module_that_can_be_run() -> None:
    ended = subprocess.run(  # noqa: TID251 - see the import
        [sys.executable, "-m", "darlingbuilder", "--version"], capture_output=True, text=True, check=True
    )
    assert ended.stdout == f"darlingbuilder {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["start", "--now"], ExitCode.USAGE, "--now"),
        (["config", "show", "--port", "80"], ExitCode.CONFIG, "port"),
        (["config", "show", "--config", "/nowhere.toml"], ExitCode.CONFIG, "/nowhere.toml: no such file"),
        (["config", "show", "--config", "/"], ExitCode.CONFIG, "Is a directory"),
        (["config", "show", "--nix-version", "0.1"], ExitCode.CONFIG, "0.1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_is_two_lines_on_stderr_and_a_code(words: list[str], code: ExitCode, says: str) -> None:
    ended, out, err = run(*words)

    message, hint = err.splitlines()
    assert (ended, out) == (code, "")
    assert message.startswith("darlingbuilder: ")
    assert says in message
    assert hint.startswith("  ")


def test_an_unknown_variable_is_a_wrong_setting() -> None:
    with start("config", "show", variables={"DARLINGBUILDER_PROT": "2222"}) as started:
        _, err = started.communicate(timeout=60)

    assert started.returncode == ExitCode.CONFIG
    assert "did you mean 'DARLINGBUILDER_PORT'?" in err


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give the state of a builder whose settings file has a mistake since, and the variables that name that file."""
    file = tmp_path / "config.toml"
    # a name that is short enough for a prefix below it
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory) / "state"
        file.write_text(f'state = "{state}"\n')
        made = config.load(file=file, environment={}, flags={})
        marker.write(LedgerTree(Path("/")), Paths(made.settings).marker, marker.of(made))
        file.write_text(f'state = "{state}"\nprot = 2222\n')
        yield state, {"DARLINGBUILDER_CONFIG": str(file)}


def ended(*words: str, variables: dict[str, str]) -> tuple[int, str]:
    with start(*words, variables=variables) as started:
        _, err = started.communicate(timeout=60)
    return started.returncode, err


@pytest.mark.skipif(os.geteuid() != 0, reason="the unit runs it as root")
@pytest.mark.parametrize("readable", [True, False])
def test_failures_are_counted_whatever_is_wrong_with_settings_and_marker(
    broken: tuple[Path, dict[str, str]], *, readable: bool
) -> None:
    # given: as in the unit, which names no file
    state, variables = broken
    failing = {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "4", "INVOCATION_ID": ""}
    if not readable:
        (state / "builder.json").write_text("{")
        variables = {"DARLINGBUILDER_CONFIG": os.devnull}
    # when
    for count in (1, 2):
        code, err = ended("breaker", "ended", f"--state={state}", variables={**variables, **failing})
        # then
        assert code == 0, err
        assert ("warning: the settings are wrong" in err) is readable
        assert ("warning: the marker cannot be read" in err) is not readable
        assert json.loads((state / "failures.json").read_text())["failures"] == count


@pytest.mark.skipif(os.geteuid() != 0, reason="status is root's")
def test_with_a_mistake_in_the_settings_a_builder_can_be_looked_at_and_not_made(
    broken: tuple[Path, dict[str, str]],
) -> None:
    state, variables = broken
    with start("status", "--json", f"--state={state}", variables=variables) as started:
        out, err = started.communicate(timeout=60)

    assert started.returncode == ExitCode.DRIFT, err
    seen = json.loads(out)
    settings = seen["steps"][0]
    assert settings["step"] == "settings"
    assert "config.toml: unknown setting 'prot'" in settings["error"]
    assert seen["prefix"] == f"{state}/guest/prefix"

    code, err = ended("init", f"--state={state}", variables=variables)
    assert code == ExitCode.CONFIG
    assert "config.toml: unknown setting 'prot'" in err


OF_THE_PROGRAM = [["man"], ["man", "darlingbuilder.toml"], *(["completion", one] for one in ("bash", "zsh", "fish"))]


@pytest.mark.parametrize("words", OF_THE_PROGRAM, ids=" ".join)
def test_what_tells_of_the_program_alone_needs_no_settings(words: list[str], tmp_path: Path) -> None:
    # given: what the package for Nix sets while it is built, and a file and a variable with a mistake in it
    package = (Path(__file__).parent.parent / "nix/package.nix").read_text()
    variables = dict.fromkeys(re.findall(r"^  env\.(\w+) =", package, re.MULTILINE), "/nix/store/x-zig/bin/zig")
    assert "DARLINGBUILDER_ZIG" in variables
    (tmp_path / "config.toml").write_text("port = \n")
    variables |= {"DARLINGBUILDER_CONFIG": str(tmp_path / "config.toml"), "DARLINGBUILDER_PROT": "1"}
    # when
    with start(*words, variables=variables) as started:
        out, err = started.communicate(timeout=60)
    # then
    assert (started.returncode, err) == (0, "")
    assert len(out.splitlines()) > 50


def test_the_compiler_of_a_build_is_no_setting() -> None:
    # CONTRIBUTING.md has those export it who have no zig of PyPI's.
    with start("config", "show", variables={"DARLINGBUILDER_ZIG": "/usr/bin/zig"}) as started:
        _, err = started.communicate(timeout=60)

    assert (started.returncode, err) == (0, "")


@pytest.mark.parametrize("verb", ["init", "status", "uninstall"])
def test_what_is_roots_to_do_an_ordinary_user_is_told_so(verb: str) -> None:
    code, out, err = run(verb, before=_NOBODY)

    assert (code, out) == (ExitCode.PREREQUISITE, "")
    assert err == f"darlingbuilder: {verb} needs root\n  sudo darlingbuilder {verb}\n"


@pytest.mark.parametrize("words", [["config", "show"], ["doctor"], ["logs"]], ids=" ".join)
def test_where_an_ordinary_user_may_not_look_is_told_too(words: list[str]) -> None:
    # given: root's own, or of one's own, but closed
    with tempfile.TemporaryDirectory() as directory:
        closed = Path(directory) / "closed"
        closed.mkdir(mode=0)
        loaded = f"from darlingbuilder.commands import context, {words[0]}{_NOBODY}"
        # when
        code, out, err = run(*words, f"--state={closed}/x/y", before=loaded)
    # then
    assert (code, out) == (ExitCode.PREREQUISITE, "")
    assert err == f"darlingbuilder: {closed}/x/y/builder.json: Permission denied\n  run it as root\n"


def test_a_wrong_setting_is_told_before_that() -> None:
    assert run("init", "--port", "80", before=_NOBODY)[0] == ExitCode.CONFIG


@pytest.mark.skipif(os.geteuid() != 0, reason="these verbs are root's")
@pytest.mark.parametrize(
    ("verb", "code", "says"),
    [
        ("start", ExitCode.FAILED, "there is no builder in"),
        ("serve", ExitCode.FAILED, "there is no builder in"),
        ("status", ExitCode.DRIFT, "holds no builder"),
    ],
)
def test_without_a_builder_a_verb_says_so(verb: str, code: ExitCode, says: str) -> None:
    # given: a name that is short enough for a prefix below it
    with tempfile.TemporaryDirectory() as directory:
        ended, out, err = run(verb, f"--state={directory}/none")
        left = list(Path(directory).iterdir())
    # then
    assert (ended, left) == (code, [])
    assert says in out + err


@pytest.mark.parametrize("words", [["config", "show"], ["man"], ["--help"], ["init", "--help"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start(*words, stdout=writing) as started:
        os.close(writing)
        _, err = started.communicate(timeout=60)

    assert (started.returncode, err) == (0, "")


# What a verb does that says what it does, and then whether it is still there.
_AT_WORK = """
from darlingbuilder.core import log, streams
streams.secure()
for _ in range(3):
    log.info("applying", step="user")
sys.stdout.write("done")
sys.exit()
"""


def test_work_goes_on_where_nobody_reads_what_is_said_of_it() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start(before=_AT_WORK, stderr=writing) as started:
        os.close(writing)
        out, _ = started.communicate(timeout=60)

    assert (started.returncode, out) == (0, "done")


def test_an_error_has_its_code_where_nobody_reads_it() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start("config", "show", "--port", "80", stderr=writing) as started:
        os.close(writing)
        out, _ = started.communicate(timeout=60)

    assert (started.returncode, out) == (ExitCode.CONFIG, "")


def test_a_full_disk_is_an_error_with_a_remedy() -> None:
    with Path("/dev/full").open("wb") as full, start("config", "show", stdout=full.fileno()) as started:
        _, err = started.communicate(timeout=60)

    assert started.returncode == ExitCode.FAILED
    assert err == "darlingbuilder: No space left on device\n  make room, then: darlingbuilder init\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_code_and_what_to_do(number: signal.Signals) -> None:
    # given: one that waits for a slow reader
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with start("man", stdout=writing) as started, os.fdopen(reading) as slow:
        os.close(writing)
        slow.read(1)
        # when
        started.send_signal(number)
        slow.read()
        _, err = started.communicate(timeout=60)
    # then
    assert started.returncode == ExitCode.INTERRUPTED
    message, remedy = err.splitlines()
    assert message == "darlingbuilder: interrupted"
    assert remedy.startswith("  there is nothing to be finished")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    line = f'exec "$@" {closed}'
    words = [sys.executable, "-c", _START.format(missing=frozenset(), before=""), "config", "show"]
    ended = subprocess.run(["/bin/sh", "-c", line, "sh", *words], capture_output=True, check=False, text=True)  # noqa: TID251 - see the import
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ("port" in ended.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_what_a_locale_cannot_show_is_no_error() -> None:
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with start("doctor", variables=variables) as started:
        out, err = started.communicate(timeout=120)
    assert started.returncode in {ExitCode.OK, ExitCode.PREREQUISITE}
    assert "may give trouble" in out
    assert err == ""
