"""Every error that the program raises, read from its source: the message, what to do about it, and its class."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "darlingbuilder"
# Stands for what is known only when the error is raised.
GAP = "…"
_ERROR = "Error"
# argparse, Python and the like have their own words.
_FOREIGN = frozenset({"OSError", "ValueError", "RuntimeError", "TypeError", "NoReturn"})


@dataclass(frozen=True, slots=True, order=True)
class Raised:
    """One place where an error is made: ``message`` and ``remedy`` with gaps, and the name of the class."""

    kind: str
    message: str
    remedy: str


def raised(package: Path = PACKAGE) -> list[Raised]:
    """List the errors of ``package``, each once, by class and message."""
    return sorted({error for file in package.rglob("*.py") for error in _in_file(file)})


def words(package: Path = PACKAGE) -> Iterator[str]:
    """Give every text in ``package``, with gaps for what is filled in."""
    for file in package.rglob("*.py"):
        tree = ast.parse(file.read_text())
        constants = _constants(tree)
        yield from (
            _text(node, constants) for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr)
        )


def _in_file(file: Path) -> Iterator[Raised]:
    tree = ast.parse(file.read_text())
    constants = _constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _is_error(node.func.id) and node.args:
            hints = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
            remedy = _text(hints[0], constants) if hints else ""
            yield Raised(node.func.id, _text(node.args[0], constants), remedy)


def _is_error(name: str) -> bool:
    return name.endswith(_ERROR) and name not in _FOREIGN


def _constants(tree: ast.Module) -> Mapping[str, ast.expr]:
    """Give what a module assigns to its own names."""
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _text(node: ast.expr, constants: Mapping[str, ast.expr]) -> str:
    match node:
        case ast.Constant(value=value):
            return value if isinstance(value, str) else str(value)
        case ast.JoinedStr(values=values):
            return "".join(_text(value, constants) for value in values)
        case ast.FormattedValue(value=ast.Name(id=name)) | ast.Name(id=name) if name in constants:
            # A name within its own value: gaps end it.
            return _text(constants[name], {})
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, constants) + _text(right, constants)
        case _:
            return GAP
