"""The rules of the house that no linter knows: layers, short functions, no mocks, a sentence for every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "darlingbuilder"
# From the lowest to the highest; each may import itself and what is below.
LAYERS = ("core", "adapters", "steps", "commands", "cli")
LONGEST_FUNCTION = 40
# Verbs know nothing of each other, but for these.
BETWEEN_COMMANDS = {
    ("*", "context"): "what every verb is given, and how it prints",
    ("*", "progress"): "how far the work of a verb has come",
    ("*", "screen"): "tables on a terminal, and what is refreshed in place",
    ("*", "argumenttree"): "those that write something of the argument tree",
    ("completion", "fish"): "one of three shells",
    ("manual", "settingsmanual"): "the one page of the settings, and the settings on the other",
    ("init", "status"): "«init --dry-run» shows drift as «status» does",
}

MODULES = sorted(PACKAGE.rglob("*.py"))
ALL_CODE = sorted(file for top in (PACKAGE, ROOT / "tests", ROOT / "integration") for file in top.rglob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def layer_of(module: str) -> str | None:
    """Name the layer of a dotted module of ours; None for what all may import (the version) and foreign ones."""
    top, *rest = module.split(".")
    return rest[0] if top == "darlingbuilder" and rest and rest[0] in LAYERS else None


def imports(tree: ast.AST) -> Iterator[str]:
    """List the dotted names that are imported anywhere, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = f"{'.' * node.level}{node.module or ''}"
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def violations(module: str, source: str) -> list[str]:
    """List the imports of the dotted ``module`` that go up, or from one verb to another."""
    own = layer_of(module)
    found = []
    for imported in imports(ast.parse(source)):
        other = layer_of(imported)
        if imported.startswith("."):
            found.append(f"{module} hides a layer by the relative import {imported}")
        if own is None or other is None:
            continue
        if LAYERS.index(other) > LAYERS.index(own):
            found.append(f"{module} ({own}) imports {imported} ({other})")
        elif own == other == "commands" and not between_commands(module, imported):
            found.append(f"{module} imports another verb: {imported}")
    return found


def between_commands(module: str, imported: str) -> bool:
    verb, other = module.split(".")[2], imported.split(".")[2]
    return verb == other or (verb, other) in BETWEEN_COMMANDS or ("*", other) in BETWEEN_COMMANDS


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_go_downwards_only(file: Path) -> None:
    assert violations(dotted(file), file.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("darlingbuilder.core.x", "from darlingbuilder.adapters import process"),
        ("darlingbuilder.core.x", "def f():\n    import darlingbuilder.steps.user"),
        ("darlingbuilder.steps.x", "from darlingbuilder.commands.init import run"),
        ("darlingbuilder.adapters.x", "from darlingbuilder import steps"),
        ("darlingbuilder.commands.x", "from darlingbuilder import cli"),
        ("darlingbuilder.steps.x", "from ..commands import init"),
        ("darlingbuilder.commands.logs", "from darlingbuilder.commands.shell import run"),
    ],
)
def test_an_import_that_goes_up_would_be_found(module: str, source: str) -> None:
    assert violations(module, source)


def test_every_module_of_the_package_belongs_to_a_layer() -> None:
    outside = [name_of(file) for file in MODULES if layer_of(dotted(file)) is None]

    assert outside == [f"darlingbuilder/{name}.py" for name in ("__init__", "__main__", "misread", "verbs")]


@pytest.mark.parametrize("directory", ["darlingbuilder/guest", "darlingbuilder/templates", "units"])
def test_what_is_no_code_of_the_host_holds_no_python(directory: str) -> None:
    assert [name_of(file) for file in (ROOT / directory).rglob("*.py")] == []


# A file of tests has its sentences in their names.
@pytest.mark.parametrize("file", [file for file in ALL_CODE if not file.name.startswith("test_")], ids=name_of)
def test_a_module_opens_with_a_sentence(file: Path) -> None:
    source = file.read_text()

    assert not source.strip() or ast.get_docstring(ast.parse(source)), "say what this module alone does"


@pytest.mark.parametrize("file", ALL_CODE, ids=name_of)
def test_no_function_is_long(file: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}

    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def mocks(source: str) -> list[str]:
    """List what puts something else in the place of a module's own code."""
    tree = ast.parse(source)
    found = [name for name in imports(tree) if {"mock", "pytest_mock"} & set(name.split("."))]
    found += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg == "mocker"]
    ours = set(names_of_ours(tree))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    return found + [ast.unparse(call) for call in calls if is_setattr(call.func) and is_ours(call.args[0], ours)]


def is_setattr(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "setattr"


def is_ours(target: ast.expr, ours: set[str]) -> bool:
    if isinstance(target, ast.Constant):
        return str(target.value).startswith("darlingbuilder")
    return any(isinstance(node, ast.Name) and node.id in ours for node in ast.walk(target))


def names_of_ours(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("darlingbuilder"):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            ours = [alias for alias in node.names if alias.name.startswith("darlingbuilder")]
            yield from (alias.asname or "darlingbuilder" for alias in ours)


@pytest.mark.parametrize("file", ALL_CODE, ids=name_of)
def test_nothing_is_mocked_or_patched(file: Path) -> None:
    assert mocks(file.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "from unittest import mock",
        "from unittest.mock import patch",
        "import unittest.mock",
        "def test_it(mocker): ...",
        "monkeypatch.setattr('darlingbuilder.core.wait.until', None)",
        "from darlingbuilder.core import wait\nmonkeypatch.setattr(wait, 'until', None)",
        "from darlingbuilder.core import wait\nmonkeypatch.setattr(wait.time, 'sleep', None)",
        "import darlingbuilder.core.wait\nmonkeypatch.setattr(darlingbuilder.core.wait, 'until', None)",
    ],
)
def test_a_mock_would_be_found(source: str) -> None:
    assert mocks(source)


def test_an_environment_may_be_changed() -> None:
    assert mocks("import sys\nmonkeypatch.setenv('PATH', '')\nmonkeypatch.setattr(sys, 'stdout', None)") == []
