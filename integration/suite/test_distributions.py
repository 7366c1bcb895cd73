"""Nix as each distribution of it is laid out: led to the builder, used by an ordinary user, and left to the byte.

The files and units are what the installers leave (tests/fakes/distributions.py); the Nix that runs is Debian's, for
neither Lix nor Determinate's can be had here. Determinate's daemon is that Nix behind a line that writes nix.conf
anew, Lix's is that Nix once for each connection. What Lix says of itself is a matter of the unit tests.
"""

import json
import secrets
from collections.abc import Iterator

import pytest

from integration.machine.tree import Tree, differences
from integration.suite.site import Site
from tests.fakes.distributions import CUSTOM, DISTRIBUTIONS, MACHINES, NIX_CONF, Distribution

ETC, UNITS = "/etc/nix", "/etc/systemd/system"
USER = "somebody"
# What a machine without a network needs; for Determinate's it stands where a user's own settings do.
OFFLINE = "experimental-features = nix-command\nsandbox = false\nsubstituters =\n"
OWN_MACHINES = "# mine\nssh://nowhere armv7l-linux"
SERVICE = """\
[Unit]
RequiresMountsFor=/nix/store /nix/var /nix/var/nix/db
[Service]
ExecStart={start}
KillMode=process
[Install]
WantedBy=multi-user.target
"""
SOCKET = """\
[Unit]
Before=multi-user.target
[Socket]
ListenStream=/nix/var/nix/daemon-socket/socket
Accept={accept}
[Install]
WantedBy=sockets.target
"""
DAEMON = "/usr/bin/nix-daemon --daemon"
NIXD = f"/bin/sh -c 'cp /usr/local/lib/nixd.conf {ETC}/{NIX_CONF} && exec {DAEMON}'"
PER_CONNECTION = "[Service]\nExecStart=-/usr/bin/nix-daemon --stdio\nStandardInput=socket\nStandardError=journal\n"
PROFILE = "/nix/var/nix/profiles/default/lib/systemd/system"
NAMES = ("Debian", "official", "Lix", "Determinate's installer, upstream's Nix", "Determinate")
# Where the registration writes. Keys, user and state are the business of test_lifecycle.
TOUCHED = (f"{ETC}/", "/etc/ssh/", UNITS, "/etc/tmpfiles.d")
BUILD = """
  derivation {{
    name = "{name}"; system = "x86_64-darwin"; builder = "/bin/sh"; args = [ "-c" "echo built > $out" ];
  }}
"""


@pytest.fixture(scope="module")
def shared(site: Site) -> Site:
    """The machine with an ordinary user who may talk to the daemon, and is trusted by nobody."""
    site.machine.run("useradd", "--create-home", "--groups", "nix-users", USER)
    return site


@pytest.fixture
def laid(request: pytest.FixtureRequest, shared: Site) -> Iterator[Distribution]:
    """The machine as that distribution leaves it, with what its user has written."""
    clear(shared)
    distribution = DISTRIBUTIONS[request.param]
    for name, text in distribution.files.items():
        own = f"{OFFLINE}build-users-group = nixbld\n" if name == distribution.place else ""
        shared.file(f"{ETC}/{name}").write_text(text + own)
    shared.file(f"{ETC}/{MACHINES}").write_text(OWN_MACHINES)
    lay_units(shared, request.param)
    start(shared)
    yield distribution
    clear(shared)


def lay_units(site: Site, name: str) -> None:
    """Put the units of that name's installer in their places; Debian's are its package's."""
    units = {"nix-daemon.service": SERVICE.format(start=DAEMON), "nix-daemon.socket": SOCKET.format(accept="no")}
    place = UNITS
    match name:
        case "Debian":
            return
        case "Lix":
            units |= {"nix-daemon.socket": SOCKET.format(accept="yes"), "nix-daemon@.service": PER_CONNECTION}
        case "Determinate":
            site.file("/usr/local/lib/nixd.conf").write_text(DISTRIBUTIONS[name].rewritten[NIX_CONF])
            units["nix-daemon.service"] = SERVICE.format(start=NIXD)
        case "official":
            place = PROFILE
        case _:
            pass
    site.file(place).mkdir(parents=True, exist_ok=True)
    for unit, text in units.items():
        site.file(f"{place}/{unit}").write_text(text)
    if place == PROFILE:
        site.machine.run("systemctl", "link", *(f"{place}/{unit}" for unit in units))


def start(site: Site) -> None:
    run = site.machine.run
    run("systemctl", "daemon-reload")
    run("systemctl", "stop", "nix-daemon.service", "nix-daemon.socket")
    run("systemctl", "reset-failed", "nix-daemon.service", "nix-daemon.socket", check=False)  # so many starts at once
    run("systemctl", "start", "nix-daemon.socket")


def clear(site: Site) -> None:
    names = (f"{UNITS}/nix-daemon{end}" for end in (".service", ".socket", "@.service"))
    conf = (f"{ETC}/{name}" for name in (NIX_CONF, CUSTOM, MACHINES))
    site.machine.run("rm", "--force", *names, *conf)
    start(site)


def touched(site: Site) -> Tree:
    return {path: entry for path, entry in site.machine.tree().items() if path.startswith(TOUCHED)}


def build(site: Site, name: str) -> str:
    """Build as an ordinary user, who has no say in where."""
    built = site.machine.run(
        "nix-build", "--no-out-link", "--expr", BUILD.format(name=name),
        user=USER, timeout=120, env={"NIX_REMOTE": "daemon", "HOME": f"/home/{USER}"}, cwd=f"/home/{USER}",
    )  # fmt: skip
    return site.machine.run("cat", built.stdout.strip()).stdout


@pytest.mark.parametrize("laid", NAMES, indirect=True)
def test_a_user_builds_on_it_and_nothing_is_left_of_it(
    shared: Site, laid: Distribution, request: pytest.FixtureRequest
) -> None:
    before, nonce = touched(shared), secrets.token_hex(4)

    shared.tool("init")

    shared.assert_healthy()
    assert "BEGIN darlingbuilder" in shared.file(f"{ETC}/{laid.place}").read_text()
    assert build(shared, f"first-{nonce}") == "built\n"
    told = finding(shared)
    assert f"by {ETC}" in told or "by default" in told
    assert ("nix-daemon.socket" if "Lix" in request.node.name else "nix-daemon.service") in told

    start(shared)  # as the next boot does, and some rewrite their files with that
    assert "nothing was changed" in shared.tool("init").stdout
    assert build(shared, f"second-{nonce}") == "built\n"

    shared.tool("uninstall", "--purge")
    assert differences(before, touched(shared)) == []


def finding(site: Site) -> str:
    """Give what ``doctor`` says of the daemon."""
    answer = json.loads(site.tool("doctor", "--json", check=False).stdout)
    return next(str(found["detail"]) for found in answer["findings"] if found["name"] == "daemon")


@pytest.mark.parametrize("laid", ["Lix"], indirect=True)
def test_machines_in_toml_are_refused_before_anything_of_them_is_lost(shared: Site, laid: Distribution) -> None:
    del laid
    toml = '[machines.mac]\nuri = "ssh://mac"\n'
    shared.file(f"{ETC}/{MACHINES}").write_text(toml)
    before = touched(shared)

    refused = shared.tool("init", check=False)

    assert refused.rc == 5
    assert "is TOML" in refused.stderr
    assert shared.file(f"{ETC}/{MACHINES}").read_text() == toml
    shared.tool("uninstall", "--purge")
    assert differences(before, touched(shared)) == []


@pytest.mark.parametrize("laid", ["official"], indirect=True)
def test_a_machines_file_that_is_a_link_stays_one(shared: Site, laid: Distribution) -> None:
    del laid
    shared.machine.run("mv", f"{ETC}/{MACHINES}", "/srv/machines")
    shared.machine.run("ln", "--symbolic", "/srv/machines", f"{ETC}/{MACHINES}")
    before = touched(shared)

    shared.tool("init")

    shared.assert_healthy(build=False)
    assert shared.file("/srv/machines").read_text() == OWN_MACHINES
    assert build(shared, "linked") == "built\n"
    shared.tool("uninstall", "--purge")
    assert differences(before, touched(shared)) == []
