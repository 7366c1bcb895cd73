"""The manual page says all that the program has, and no roff in it goes wrong."""

import shutil
from argparse import ArgumentParser
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.adapters import process
from darlingbuilder.commands import manual
from darlingbuilder.core import declaration, shim
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.roff import roff
from darlingbuilder.steps.overview import metrics
from darlingbuilder.verbs import VERBS

PAGE = manual.page(cli.parser())


def test_every_verb_has_its_section() -> None:
    for verb in VERBS:
        assert f'.SS "\\fB{roff(verb.name)}\\fR' in PAGE


def test_every_argument_of_a_verb_is_described() -> None:
    for verb in VERBS:
        for argument in verb.arguments:
            # A choice that has to be made is all said by the synopsis.
            if "choices" not in argument.options or argument.name.startswith("-") or "nargs" in argument.options:
                assert roff(argument.help[1:]) in PAGE


@pytest.mark.parametrize("key", declaration.table())
def test_every_setting_stands_with_its_flag_variable_default_and_help(key: str) -> None:
    setting = declaration.table()[key]
    start = PAGE.index(f".TP\n\\fB{key}\\fR\n")
    entry = PAGE[start : PAGE.index("\n.", PAGE.index("\n.br\n", start) + 5)]

    assert roff(setting.help[1:]) in entry
    assert roff(setting.flag) in entry
    assert setting.variable in entry
    assert roff(declaration.as_text(setting.default)) in entry


def test_every_exit_code_is_explained() -> None:
    for code in ExitCode:
        assert f".B {int(code)}\n{roff(code.meaning)}\n" in PAGE


def test_every_correction_of_the_shim_is_explained() -> None:
    for name, text in shim.CORRECTIONS.items():
        assert f".B {roff(name)}\n{roff(text)}\n" in PAGE


def test_every_metric_is_described() -> None:
    for metric in metrics.METRICS:
        assert f"\\fB{roff(metric.full_name)}\\fR" in PAGE
        assert roff(metric.help) in PAGE


def test_a_setting_is_described_once() -> None:
    assert PAGE.count("\\fB\\-\\-port\\fR") == 1


def test_the_page_is_ascii() -> None:
    assert PAGE.isascii()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (".TH is a request", "\\&.TH is a request"),
        ("'so is this", "\\(aqso is this"),
        ("--port", "\\-\\-port"),
        ("C:\\x", "C:\\ex"),
        ("«a»", "\\[u00AB]a\\[u00BB]"),
        ("one\n.two", "one\n\\&.two"),
    ],
)
def test_text_cannot_become_roff(text: str, escaped: str) -> None:
    assert roff(text) == escaped


def test_other_trees_have_pages_too() -> None:
    tree = ArgumentParser("x", description="Do it.")
    sub = tree.add_subparsers().add_parser("go", description="go there 100% sure")
    sub.add_argument("place", nargs="*", help="where to go, 100%% sure")

    page = manual.page(tree)

    assert "Go there 100% sure." in page
    assert "Where to go, 100% sure." in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_finds_nothing_wrong(tmp_path: Path) -> None:
    (tmp_path / "page.1").write_text(PAGE)

    checked = process.run("groff", "-man", "-ww", "-z", tmp_path / "page.1")

    assert (checked.stdout, checked.stderr) == ("", "")
