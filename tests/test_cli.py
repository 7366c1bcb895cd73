"""A command line that cannot be meant gives one error, as every other error does."""

import subprocess  # pipes that adapters.process does not make
import sys

import pytest

from darlingbuilder import cli, misread
from darlingbuilder.core.errors import ExitCode, InterruptionError
from darlingbuilder.verbs import VERBS, Verb, as_typed


def verb(name: str) -> Verb:
    return next(verb for verb in VERBS if verb.name == name)


@pytest.mark.parametrize(
    ("words", "says", "remedy"),
    [
        ("", "VERB", "see: darlingbuilder --help"),
        ("initialise", "'initialise'", "see: darlingbuilder --help"),
        ("stat", "'stat'", "did you mean start or status? see: darlingbuilder --help"),
        ("--config /f status", "--config", "what goes with a verb follows it: darlingbuilder VERB --config"),
        ("init --colour red", "--colour red", "see: darlingbuilder init --help"),
        ("init --por 2222", "--por 2222", "did you mean --port? see: darlingbuilder init --help"),
        ("gc --max-aeg=30d", "--max-aeg=30d", "did you mean --max-age? see: darlingbuilder gc --help"),
        ("status --watch 0", "'0' is no number of seconds", "see: darlingbuilder status --help"),
        ("keys rotate --timeout nan", "'nan' is no number of seconds", "see: darlingbuilder keys --help"),
        ("logs --lines=-1", "'-1' is no whole number", "see: darlingbuilder logs --help"),
        ("init --port", "--port", "see: darlingbuilder init --help"),
        ("test --timeout soon", "'soon'", "see: darlingbuilder test --help"),
        ("config forget", "'forget'", "see: darlingbuilder config --help"),
        ("status more", "status does not take more", "see: darlingbuilder status --help"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    words: str, says: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words.split()) == ExitCode.USAGE

    printed = capsys.readouterr()
    message, hint = printed.err.splitlines()
    assert printed.out == ""
    assert message.startswith("darlingbuilder: ")
    assert says in message
    assert hint == f"  {remedy}"


@pytest.mark.parametrize("words", [["--help"], ["init", "--help"], ["--version"]])
def test_help_is_no_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0
    assert capsys.readouterr().err == ""


def test_the_usage_of_a_verb_is_not_drowned_in_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["init", "--help"])
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    assert "[--dry-run]" in usage
    assert "[--SETTING VALUE]..." in usage
    assert len(usage.splitlines()) <= 3
    assert "--max-jobs VALUE" in rest


def test_the_overview_fits_a_screen_and_has_every_verb_but_what_units_call() -> None:
    lines = cli.parser().format_help().splitlines()

    assert len(lines) <= 24
    assert [line for line in lines if len(line) >= 80] == []
    named = {name for line in lines if line.startswith("  ") for name in line[2:].partition("  ")[0].split(", ")}
    assert named == {verb.name for verb in VERBS} - {"breaker", "on-demand"}


@pytest.mark.parametrize(
    "words", ["--instance second status", "status --instance second", "status --instance=second"]
)
def test_a_builder_is_named_before_the_verb_or_behind_it(words: str) -> None:
    parsed = vars(cli.parser().parse_args(words.split()))
    assert parsed["DARLINGBUILDER_INSTANCE"] == "second"


def test_a_remedy_names_the_builder_that_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--instance", "second", "start", "--state=/nowhere/second"]) != ExitCode.OK
    said = capsys.readouterr().err
    assert "darlingbuilder --instance second init" in said or "sudo" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("init", "finished by: darlingbuilder init"),
        ("--instance test reset --yes", "finished by: darlingbuilder init"),
        ("--instance=b keys rotate", "finished by: darlingbuilder keys rotate"),
        ("uninstall", "finished by: darlingbuilder uninstall"),
        ("test --json", "nothing to be finished"),
    ],
)
def test_what_was_interrupted_is_finished_by_what_finishes_it(words: str, said: str) -> None:
    assert said in misread.after_interruption(words.split())


@pytest.mark.parametrize(("name", "finished_by"), [("init", "init"), ("keys", "keys rotate")])
def test_what_was_interrupted_is_finished_for_the_builder_that_it_was_about(name: str, finished_by: str) -> None:
    with pytest.raises(InterruptionError) as raised, misread.cut_short(verb(name), "b"):
        raise KeyboardInterrupt
    assert raised.value.exit_code == ExitCode.INTERRUPTED
    assert raised.value.hint.endswith(f"finished by: darlingbuilder --instance b {finished_by}")


def test_a_change_whose_reader_has_gone_has_failed_and_a_look_has_not() -> None:
    # given: a process of its own, for nothing can be printed afterwards
    code = """
import sys
from darlingbuilder import misread
from darlingbuilder.verbs import VERBS
with misread.cut_short(next(verb for verb in VERBS if verb.name == sys.argv[1]), "b"):
    print("x" * 10**6, flush=True)
"""
    ended = {}
    for name in ("status", "gc"):
        with subprocess.Popen(  # noqa: TID251 - see the import
            [sys.executable, "-c", code, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as started:
            # when
            assert started.stdout
            assert started.stderr
            started.stdout.close()
            ended[name] = (started.stderr.read(), started.wait())
    # then
    assert ended["status"] == ("", 0)
    assert "BuilderError: nobody reads what it prints any more" in ended["gc"][0]
    assert ended["gc"][1] != 0


def test_in_a_remedy_only_commands_are_changed() -> None:
    text = (
        "install darlingbuilder from its wheel; darlingbuilder init; «darlingbuilder status»; darlingbuilder initial"
    )
    assert as_typed(text, "default") == text
    assert as_typed(text, "b") == (
        "install darlingbuilder from its wheel; darlingbuilder --instance b init; "
        "«darlingbuilder --instance b status»; darlingbuilder initial"
    )
