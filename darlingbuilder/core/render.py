"""Templates to text; a name that a template misses is an error."""

from functools import cache

import jinja2


@cache
def _environment() -> jinja2.Environment:
    # No escaping: none of it is HTML, and every value is a checked setting or a path of ours.
    return jinja2.Environment(
        loader=jinja2.PackageLoader("darlingbuilder"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - as above
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def template(name: str, **values: object) -> str:
    """Render ``darlingbuilder/templates/<name>`` with ``values``."""
    return _environment().get_template(name).render(values)
