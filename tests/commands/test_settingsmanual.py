"""The manual page of the settings file has every key, in its table, and an example that is right."""

import re
import shutil
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.commands import settingsmanual
from darlingbuilder.core import config, declaration
from darlingbuilder.core.roff import roff

PAGE = settingsmanual.page()


@pytest.mark.parametrize("key", declaration.table())
def test_every_key_stands_in_its_table_with_its_default(key: str) -> None:
    setting = declaration.table()[key]
    heading = f".SH TABLE [{setting.table}]\n" if setting.table else ".SH KEYS\n"
    section = PAGE.partition(heading)[2].partition("\n.SH")[0]

    (default,) = re.findall(rf"^\\fB{key.rpartition('.')[2]}\\fR = (.*)$", section, re.MULTILINE)
    assert default
    assert roff(setting.help[1:]) in section
    assert roff(setting.flag) in section
    assert setting.variable in section


def test_every_table_says_what_it_is() -> None:
    for name, text in declaration.tables().items():
        assert f".SH TABLE [{name}]\n{roff(text[:1].upper() + text[1:])}" in PAGE


def test_the_example_is_a_settings_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"^\.EX\n(.*?)^\.EE", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "config.toml").write_text(example.replace("\\-", "-"))

    loaded = config.load(file=tmp_path / "config.toml", environment={}, flags={})

    assert loaded.settings.max_free == "30G"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_finds_nothing_wrong(tmp_path: Path) -> None:
    (tmp_path / "page.5").write_text(PAGE)

    checked = process.run("groff", "-man", "-ww", "-z", tmp_path / "page.5")

    assert (checked.stdout, checked.stderr) == ("", "")
