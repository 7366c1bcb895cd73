"""Templates: a value that is missing is an error, and nothing is escaped."""

from pathlib import Path

import jinja2
import pytest

import darlingbuilder
from darlingbuilder.core import render

PACKAGE = Path(darlingbuilder.__file__).parent


def test_values_stand_where_they_belong_as_they_are() -> None:
    text = render.unit("darlingbuilder.sysusers.conf", user="<a>&b")
    assert "<a>&b" in text


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'user' is undefined"):
        render.unit("darlingbuilder.sysusers.conf")


def test_a_template_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        render.template("absent.j2")


@pytest.mark.parametrize("file", sorted((PACKAGE / "templates").iterdir()), ids=lambda file: file.name)
def test_every_template_uses_values(file: Path) -> None:
    assert "{{" in file.read_text()


def test_a_text_ends_with_one_newline() -> None:
    text = render.unit("darlingbuilder.sysusers.conf", user="builder")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
