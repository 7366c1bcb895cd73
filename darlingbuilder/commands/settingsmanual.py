"""The manual page of the settings file, and the paragraphs about settings that both pages have."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

from darlingbuilder import __version__
from darlingbuilder.core import config, declaration, render
from darlingbuilder.core.declaration import Setting, Value
from darlingbuilder.core.roff import Entry, roff, sentence


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file, «» being what stands before all tables; what it is, in roff, and its keys."""

    name: str
    text: str
    settings: Sequence[Entry]


def page() -> str:
    """Give the manual page of the settings file, as roff in ASCII."""
    return render.template(
        "darlingbuilder.toml.5.j2",
        version=roff(__version__),
        default_file=roff(str(config.DEFAULT_FILE)),
        tables=[
            _table(name, list(settings))
            for name, settings in itertools.groupby(declaration.table().values(), key=lambda setting: setting.table)
        ],
    )


def entries() -> list[Entry]:
    """Give a paragraph for each setting, by its dotted key."""
    return [_setting(setting) for setting in declaration.table().values()]


def _table(name: str, settings: Sequence[Setting]) -> Table:
    text = sentence(declaration.tables()[name]) if name else ""
    return Table(roff(name), roff(text), [_in_file(setting) for setting in settings])


def _in_file(setting: Setting) -> Entry:
    key = setting.key.rpartition(".")[2]
    names = f"\\fB{roff(setting.flag)}\\fR, \\fB{setting.variable}\\fR"
    text = f"{roff(sentence(declaration.describe(setting)))}\n.br\n{names}"
    return Entry(f"\\fB{roff(key)}\\fR = {roff(_toml(setting.default))}", text)


def _toml(value: Value) -> str:
    # What settings are made of reads in TOML as it does in JSON.
    return json.dumps(value, ensure_ascii=False)


def _setting(setting: Setting) -> Entry:
    default = declaration.as_text(setting.default)
    said = f" Default: {roff(default)}." if default else ""
    names = f"\\fB{roff(setting.flag)}\\fR \\fIVALUE\\fR, \\fB{roff(setting.variable)}\\fR"
    text = f"{roff(sentence(declaration.describe(setting)))}{said}\n.br\n{names}"
    return Entry(f"\\fB{roff(setting.key)}\\fR", text)
