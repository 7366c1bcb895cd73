"""The builder that is meant where its settings file cannot be used: by what a call says besides, and by its unit."""

from collections.abc import Mapping
from pathlib import Path

from darlingbuilder.core import config, marker
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import BuilderError
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.commandlines import installed_state


def instead_of_file(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str], host: Tree
) -> Config | None:
    """Give the settings that the builder was made with; None where there is none, or it is not certain which.

    Where its marker cannot be read, they are the defaults, and say no more than where it is. Raises ConfigError.
    """
    called = config.without_file(file=file, environment=environment, flags=flags)
    names = called.settings.names
    if called.origins["state"] == "default" and (state := installed_state(names, host)):
        called = config.without_file(file=file, environment=environment, flags={**flags, "state": str(state)})
    # In its usual place it is this very builder's; another one may be anybody's.
    is_usual = called.file == names.settings_file
    try:
        found = marker.read(host, Paths(called.settings).marker)
    except BuilderError:
        return called if is_usual else None
    if found is None or found.config.settings.instance != names.name:
        return None
    return found.config if is_usual or found.config_file == str(called.file) else None
