"""The table of the prerequisites: all of them, and Darling's probes, for ``doctor``, the cheap ones for ``init``."""

from collections.abc import Iterable, Sequence

from darlingbuilder.adapters.world import World
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import (
    apart,
    darling,
    nix,
    place,
    platform,
    port,
    programs,
    sharing,
    ssh,
    system,
)
from darlingbuilder.steps.prerequisites.finding import Check, Cost, Finding, Level, Surroundings

CHECKS = (
    Check("root", "init makes a user, writes below /etc and talks to systemd", system.root),
    Check("processor", "Darling runs programs that were built for Intel's Macs", system.processor),
    Check("tools", "the builder is made and watched with the system's own tools", programs.tools),
    Check("launcher", "Darling's launcher mounts the guest's root and makes its namespaces", programs.launcher),
    Check("overlayfs", "the prefix is the upper layer of an overlay over Darling's own files", system.overlay),
    Check("namespaces", "the guest's processes and mounts are its own", system.namespaces),
    Check(
        "user", "a guest that runs as root owns the host, a guest that runs as you your files", system.service_user
    ),
    Check("prefix", "overlayfs does not take every file system as its upper layer", place.prefix),
    Check("state", "the guest's Nix writes its store there, and runs what it has built", place.state),
    Check("store", "the guest's user writes in a store whose lower half is the host's", sharing.store),
    Check("reach", "the guest runs as an ordinary user, who must get to the prefix", place.reach),
    Check("disk", "Nix, its database and every build need room", place.room),
    Check("limit", "a store of a limited size is a file system in a file", programs.limit),
    Check("builders", "what one builder of this host does must not disturb another", apart.apart),
    Check("port", "a guest's port is a port of the host: there is no network namespace", port.port),
    Check("on demand", "the guest's sshd has a port of its own then, to which systemd's proxy leads", port.on_demand),
    Check(
        "datagrams",
        "the guest's programs talk to its server in datagrams: with many builds, who finds its queue full waits",
        system.queue,
        Cost.DEAR,
        "https://docs.kernel.org/admin-guide/sysctl/net.html",
    ),
    Check("systemd", "the unit is started, stopped and asked over D-Bus", system.bus),
    Check("nix", "older ones cannot do what the builder needs", nix.version),
    Check("daemon", "builds of all users come by Nix's daemon, which knows the builder", nix.daemon, Cost.DEAR),
    Check("platforms", "a system that Nix counts as its own is never sent to a builder", nix.platforms, Cost.DEAR),
    Check("nixpkgs", "a program runs where its macOS is no newer than the guest's", platform.nixpkgs),
    Check("ssh", "Nix connects through an alias in ssh_config.d", ssh.configuration, Cost.DEAR),
)


def preflight(settings: Settings, world: World) -> list[Finding]:
    """Make the cheap checks: what ``init`` can afford each time."""
    return survey(Surroundings(settings, world), [check for check in CHECKS if check.cost is Cost.CHEAP])


def examine(settings: Settings, world: World) -> list[Finding]:
    """Make every check, and every probe of the Darling itself."""
    surroundings = Surroundings(settings, world)
    return [*survey(surroundings, CHECKS), *darling.examine(surroundings)]


def survey(surroundings: Surroundings, checks: Iterable[Check]) -> list[Finding]:
    """Make ``checks``; each of them gives one finding, whatever the machine is like."""
    return [check.find(surroundings) for check in checks]


def failures(findings: Iterable[Finding]) -> list[Finding]:
    """Pick what makes a builder impossible."""
    return [found for found in findings if found.level is Level.FAILURE]


def refuse(findings: Sequence[Finding]) -> None:
    """Raise PrerequisiteError if there is a failure; it names every one of them with what to do."""
    failed = failures(findings)
    if not failed:
        return
    if len(failed) == 1:
        raise PrerequisiteError(f"{failed[0].name}: {failed[0].detail}", hint=failed[0].hint)
    raise PrerequisiteError(
        f"{len(failed)} prerequisites are missing"
        + "".join(f"\n  {found.name}: {found.detail}\n    {found.hint}" for found in failed),
        hint="see to each of them; «darlingbuilder doctor» checks them all again",
    )
