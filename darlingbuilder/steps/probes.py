"""What makes a builder usable, layer by layer, from its unit to a build; each with what to do where it is not so."""

import re
import secrets
from pathlib import Path

from darlingbuilder.adapters import nixclient, sshclient, tcp
from darlingbuilder.adapters.process import TIMED_OUT, Completed
from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core.machines import SYSTEM
from darlingbuilder.core.plain import plain
from darlingbuilder.steps import trial
from darlingbuilder.steps.access import Access
from darlingbuilder.steps.layers import Layer, UnmetError

_SSH = "SSH-2.0-"
_SERVERS = {"ssh-ng": "nix-daemon", "ssh": "nix-store"}
_WHO_LISTENS = "somebody else may listen there; see who, and stop it or choose another «port»: ss -ltnp 'sport = :{}'"
_LOGS = "see what the guest's sshd and Nix say: darlingbuilder logs"
_STATUS = "see what has drifted, and let init mend it: darlingbuilder status; darlingbuilder init"
# What an sshd says instead of its banner to whom it does not want, with the reason.
_REBUFFS = {
    "Not allowed at this time": "sshd keeps us out for a while, after failed attempts; wait a minute, then try again",
    "Exceeded MaxStartups": "too many log in at the same time; try again",
}
# What ssh and Nix say on stderr, and what to do about it; the first that is found counts.
_REMEDIES = (
    ("Could not resolve hostname", "ssh does not know the builder's alias; make it anew: darlingbuilder init"),
    ("Host key verification failed", "somebody else listens on the port, or the alias's known_hosts is not ours"),
    ("UNPROTECTED PRIVATE KEY", "the key must be root's alone; let init mend it: darlingbuilder init"),
    ("not accessible: No such file", "the key is gone; let init mend it: darlingbuilder init"),
    ("Permission denied (", "the guest does not admit this key; darlingbuilder status, then darlingbuilder init"),
    ("cannot connect to socket", "the host's nix-daemon must run: systemctl start nix-daemon.socket"),
    ("Connection refused", "the guest's sshd has gone: darlingbuilder status"),
    ("protocol mismatch", "something in the guest prints into Nix's protocol; see: darlingbuilder logs"),
    ("cannot build on 'ssh", _LOGS),
    ("builder failed with exit code", "the connection is sound, but the guest cannot build; its own log says why"),
    ("builder for '", "the connection is sound, but the guest cannot build; its own log says why"),
    ("reading the response from the build hook", "Nix cannot read a machines file: darlingbuilder status"),
    ("Failed to find a machine", "Nix does not use the builder; darlingbuilder status, systemctl restart nix-daemon"),
    ("is required to build", "Nix does not use the builder; darlingbuilder status, systemctl restart nix-daemon"),
    (
        "unable to start any build",
        "Nix does not use the builder; darlingbuilder status, systemctl restart nix-daemon",
    ),
)


def _unit(access: Access, seconds: float) -> str:
    if access.settings.on_demand:
        _rouse(access, seconds)
    state = access.world.systemd.unit(access.settings.names.unit)
    if state.activity is not Activity.ACTIVE:
        raise UnmetError(f"{access.settings.names.unit} is {state.activity.value} ({state.sub})")
    return f"{access.settings.names.unit} is active, pid {state.main_pid}"


def _rouse(access: Access, seconds: float) -> None:
    """Have a connection start a builder on demand, as a build has."""
    state = access.world.systemd.unit(access.settings.names.socket)
    if state.activity is not Activity.ACTIVE:
        raise UnmetError(f"{access.settings.names.socket} is {state.activity.value} ({state.sub})")
    tcp.banner(access.settings.port, timeout=seconds)


def _tcp(access: Access, seconds: float) -> str:
    port = access.settings.port
    if error := tcp.refusal(port, timeout=seconds):
        raise UnmetError(f"127.0.0.1:{port}: {error.strerror or error}")
    return f"127.0.0.1:{port} takes connections"


def _banner(access: Access, seconds: float) -> str:
    port = access.settings.port
    banner = tcp.banner(port, timeout=seconds)
    if banner is None:
        raise UnmetError(f"whoever listens on 127.0.0.1:{port} says nothing within {seconds:.1f} s")
    if not banner.startswith(_SSH):
        raise UnmetError(
            f"whoever listens on 127.0.0.1:{port} greets with {banner[:60]!r}, which is not SSH",
            hint=_REBUFFS.get(banner, _WHO_LISTENS.format(port)),
        )
    return banner


def _host_key(access: Access, seconds: float) -> str:
    port, pinned = access.settings.port, access.pinned
    shown = sshclient.host_key(port, timeout=seconds)
    if shown is None:
        raise UnmetError(f"the sshd on 127.0.0.1:{port} shows no ed25519 host key", hint=_WHO_LISTENS.format(port))
    if shown not in pinned:
        raise UnmetError(
            f"the sshd on 127.0.0.1:{port} shows the host key {shown}, but {' or '.join(pinned)} is pinned",
            hint=_WHO_LISTENS.format(port) + "; if it is the builder: darlingbuilder init",
        )
    return "it is the pinned one"


def _login(access: Access, seconds: float) -> str:
    # A status of 0 proves nothing (FACTS): a word that nobody can guess has to come back, and nothing else.
    word = secrets.token_hex(8)
    said = access.ssh.run("echo", word, timeout=seconds)
    if word not in said.stdout:
        raise _failure(said, "the login failed", seconds)
    if said.stdout != f"{word}\n":
        raise UnmetError(
            f"the session's output holds more than was written to it: {said.stdout[:200]!r}",
            hint='Nix\'s protocol breaks on that; a start with compat = "auto" cures it: darlingbuilder restart',
        )
    _require_own_connections(access)
    return f"as {access.settings.user}"


def _require_own_connections(access: Access) -> None:
    """Raise UnmetError where ssh keeps connections, as what it reads before our alias can have it do: see there."""
    alias = access.settings.names.alias
    told = access.ssh.effective().get("controlmaster", "false")
    if told != "false":
        raise UnmetError(
            f"ssh keeps connections to {alias} (ControlMaster {told}), over which a build may wait for ever",
            hint=f"begin the file that says so, /root/.ssh/config perhaps, with «Host {alias}», «ControlMaster no»",
        )


def _guest(access: Access, seconds: float) -> str:
    said = access.ssh.run("uname", "-s", timeout=seconds)
    if said.stdout.split()[-1:] != ["Darwin"]:
        raise _failure(said, f"«uname -s» says {said.stdout.strip()[:60]!r}, not Darwin", seconds)
    return "Darwin"


def _nix(access: Access, seconds: float) -> str:
    server = _SERVERS[access.machine.uri.partition(":")[0]]
    said = access.ssh.run(server, "--version", timeout=seconds)
    found = re.search(rf"^{server} \(.*\).* (\S+)$", said.stdout, re.MULTILINE)
    if not found:
        raise _failure(said, f"a session finds no {server}", seconds)
    return f"{server} {plain(found[1])}"


def _store(access: Access, seconds: float) -> str:
    said = nixclient.store_info(access.store, extra=access.environment, timeout=seconds)
    if said.code != 0:
        raise _failure(said, f"Nix cannot talk to {access.machine.uri}", seconds)
    nix = access.world.nix
    return f"{access.machine.uri} answers {nix.name()} {'.'.join(map(str, nix.version()))}"


def _build(access: Access, seconds: float) -> str:
    nonce = secrets.token_hex(16)
    said = nixclient.build_remotely(
        trial.expression(nonce, access.machine.mandatory),
        builders=access.builders,
        extra=access.environment,
        timeout=seconds,
    )
    lines = said.stdout.split()
    if said.code != 0 or not lines:
        raise _failure(said, f"a derivation of {SYSTEM} was not built", seconds)
    output = Path(lines[-1])
    if not trial.is_right(access.world.host, output, nonce):
        raise UnmetError(f"{output} does not hold what was built: a file «nonce» with {nonce}, and a link to it")
    return str(output)


def _failure(said: Completed, what: str, seconds: float) -> UnmetError:
    if said.code == TIMED_OUT:
        return UnmetError(f"{what}: no end within {seconds:.1f} s")
    words = (said.stderr.strip() or said.stdout.strip() or f"status {said.code}").splitlines()
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said.stderr), "")
    return UnmetError(f"{what}: {plain(' / '.join(line.strip() for line in words[-4:]))}", hint=remedy)


_DOWN = "darlingbuilder status says what is wrong, darlingbuilder start starts it; else: darlingbuilder logs"

CONNECTION: tuple[Layer[Access], ...] = (
    # Most of it for a builder on demand that is yet to boot.
    Layer("unit", 180, _DOWN, _unit),
    Layer("tcp", 5, _DOWN, _tcp),
    Layer("banner", 20, "sshd hangs, or somebody else listens there: darlingbuilder status; ss -ltnp", _banner),
    Layer("host key", 20, _STATUS, _host_key),
    Layer("login", 30, _LOGS, _login),
    Layer("guest", 20, "whoever answers is no Darling guest; see who listens: ss -ltnp", _guest),
    Layer("nix", 20, f"the guest has no Nix on its PATH. {_STATUS}", _nix),
    Layer("store", 60, _LOGS, _store),
)
BUILD: Layer[Access] = Layer("build", 3600, f"{_LOGS}; journalctl --unit nix-daemon", _build)
