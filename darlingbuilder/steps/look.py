"""What there is, compared with what should be: the builder surveyed, or the one difference that there is none."""

from collections.abc import Sequence

from darlingbuilder.adapters.world import World
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.marker import Marker
from darlingbuilder.steps.converge import Found, survey
from darlingbuilder.steps.ownership import pending
from darlingbuilder.steps.plan import build


def look(called: Config, marker: Marker | None, world: World, wrong: ConfigError | None = None) -> Sequence[Found]:
    """Survey the builder of ``marker``; settings that ``called`` would change are pending, or they are ``wrong``."""
    if marker is None:
        return [Found("settings", [Drift(called.settings.state, "holds no builder")])]
    found = survey(build(marker.config, world).steps)
    if wrong:
        return [Found("settings", found[0].drift, wrong), *found[1:]]
    changed = pending(marker, called)
    return [Found("settings", changed), *found[1:]] if changed else found
