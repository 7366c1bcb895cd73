"""What there is, compared with what should be: the builder surveyed, or the one difference that there is none."""

from collections.abc import Sequence

from darlingbuilder.adapters.world import World
from darlingbuilder.core.config import Config
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.marker import Marker
from darlingbuilder.steps.converge import Found, survey
from darlingbuilder.steps.ownership import pending
from darlingbuilder.steps.plan import build


def look(called: Config, marker: Marker | None, world: World) -> Sequence[Found]:
    """Survey the builder of ``marker``; settings that ``called`` would change are pending."""
    if marker is None:
        return [Found("settings", [Drift(called.settings.state, "holds no builder")])]
    found = survey(build(marker.config, world).steps)
    changed = pending(marker, called)
    return [Found("settings", changed), *found[1:]] if changed else found
