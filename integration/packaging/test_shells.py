"""The completions in their own shells, and the manual pages in man: all of them are here, none is skipped."""

from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.commands import completion, manual
from integration.machine.commands import run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_finds_nothing_wrong_with_its_completions(shell: str, tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(completion.script(cli.parser(), shell))  # type: ignore[arg-type]

    checked = run((shell, "-n", str(tmp_path / "completion")))

    assert (checked.stdout, checked.stderr) == ("", "")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("in", {"init"}),
        ("keys ", {"show", "rotate", "import"}),
        ("keys show ", set()),
        ("init --store ", {"copy", "overlay", "symlink"}),
        ("init --register ", {"true", "false"}),
        ("logs --prio", {"--priority"}),
        ("completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_fish_completes_what_is_typed(typed: str, offered: set[str], tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(completion.script(cli.parser(), "fish"))

    said = run(("fish", "--no-config", "-c", f"source {tmp_path}/completion; complete -C 'darlingbuilder {typed}'"))

    assert {line.partition("\t")[0] for line in said.stdout.splitlines()} == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [(["in"], {"init"}), (["init", "--store", ""], {"copy", "overlay", "symlink"}), (["keys", "ro"], {"rotate"})],
)
def test_bash_completes_what_is_typed(words: list[str], offered: set[str], tmp_path: Path) -> None:
    (tmp_path / "completion").write_text(completion.script(cli.parser(), "bash"))
    typed = " ".join(f"'{word}'" for word in ("darlingbuilder", *words))
    before = (["darlingbuilder", *words])[-2]

    line = f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}"
    asked = f"{line}; _shtab_darlingbuilder darlingbuilder '{words[-1]}' '{before}'"
    said = run(("bash", "-c", f"source {tmp_path}/completion; {asked}; echo ${{COMPREPLY[@]}}"))

    assert set(said.stdout.split()) == offered


@pytest.mark.parametrize("name", manual.PAGES)
def test_man_shows_the_page(name: str, tmp_path: Path) -> None:
    (tmp_path / "page").write_text(manual.PAGES[name](cli.parser()))

    shown = run(
        ("man", "--warnings", "--local-file", str(tmp_path / "page")), env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin"}
    )

    assert shown.stderr == ""
    assert "SEE ALSO" in shown.stdout
