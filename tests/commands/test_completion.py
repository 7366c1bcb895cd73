"""What a shell completes is what the program takes."""

import shutil
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.adapters import process
from darlingbuilder.commands import completion, manual
from darlingbuilder.core import declaration
from darlingbuilder.verbs import VERBS

SHELLS = next(verb for verb in VERBS if verb.name == "completion").arguments[0].options["choices"]
# A shell of its own for each; where it is absent, integration/documents still has it.
INSTALLED = [shell for shell in SHELLS if shutil.which(shell)]


def script(shell: str) -> str:
    return completion.script(cli.parser(), shell)  # type: ignore[arg-type] # one of those that the tree offers


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_verb_and_every_flag_is_completed(shell: str) -> None:
    written = script(shell)

    for verb in VERBS:
        assert verb.name in written
        for argument in verb.arguments:
            assert not argument.name.startswith("--") or argument.name[2:] in written
    for setting in declaration.table().values():
        assert setting.flag[2:] in written


def test_a_setting_of_few_words_is_completed_with_them(shell: str) -> None:
    assert "local-overlay" in script(shell)


def test_completions_leave_no_trace_in_how_the_command_line_is_read() -> None:
    script("bash")

    # A wrong value is the settings' to refuse, with their own exit code.
    assert vars(cli.parser().parse_args(["init", "--store", "sideways"]))["DARLINGBUILDER_STORE"] == "sideways"


@pytest.mark.parametrize("shell", INSTALLED)
def test_its_shell_finds_nothing_wrong(shell: str, tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(script(shell))

    checked = process.run(shell, "-n", tmp_path / "completion")

    assert (checked.stdout, checked.stderr) == ("", "")


def test_every_page_that_may_be_named_is_there() -> None:
    (page,) = next(verb for verb in VERBS if verb.name == "man").arguments

    assert list(manual.PAGES) == page.options["choices"]
