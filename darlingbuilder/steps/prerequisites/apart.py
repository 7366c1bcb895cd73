"""The other builders of this host, with which ours is to have nothing between them."""

from darlingbuilder.core.errors import ConfigError
from darlingbuilder.steps import neighbours
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok


def apart(surroundings: Surroundings) -> Verdict:
    """Look whether another builder has what these settings ask for."""
    settings, host = surroundings.settings, surroundings.world.host
    try:
        neighbours.refuse_shared(settings, host)
    except ConfigError as error:
        return failure(str(error), error.hint)
    others = [other.instance for other in neighbours.others(host, settings.instance)]
    return ok(f"apart from {', '.join(others)}" if others else "there is no other builder")
