"""The host's ssh_config, which must read what the builder puts beside it."""

from darlingbuilder.core.paths import SSH_CONFIG
from darlingbuilder.steps.prerequisites.finding import Surroundings, Verdict, failure, ok
from darlingbuilder.steps.registration import Registration


def configuration(surroundings: Surroundings) -> Verdict:
    """Look whether ssh_config includes the alias's directory, for every host."""
    if not surroundings.settings.register:
        return ok("not looked at: register is false")
    found = Registration(surroundings.settings, surroundings.world).unread_alias()
    if found:
        return failure(
            f"{found[0].what} {found[0].detail}",
            f"make «Include {surroundings.settings.names.ssh_alias.parent}/*.conf» the first line of {SSH_CONFIG}",
        )
    return ok(f"{SSH_CONFIG} reads {surroundings.settings.names.ssh_alias.parent}")
