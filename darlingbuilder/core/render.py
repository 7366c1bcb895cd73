"""Templates to text; a name that a template misses is an error."""

from functools import cache

import jinja2


@cache
def _environment(directory: str) -> jinja2.Environment:
    # No escaping: none of it is HTML, and every value is a checked setting or a path of ours.
    return jinja2.Environment(
        loader=jinja2.PackageLoader("darlingbuilder", directory),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - as above
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def template(name: str, **values: object) -> str:
    """Render ``darlingbuilder/templates/<name>`` with ``values``."""
    return _environment("templates").get_template(name).render(values)


def unit(name: str, **values: object) -> str:
    """Render ``units/<name>`` with ``values``."""
    return _environment("units").get_template(name).render(values)
