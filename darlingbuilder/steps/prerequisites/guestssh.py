"""The guest's own sshd, without privileges: whether it answers on 127.0.0.1, and what its sessions print."""

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from darlingbuilder.adapters import tcp
from darlingbuilder.adapters.darling import Darling
from darlingbuilder.adapters.process import Completed, Running
from darlingbuilder.adapters.sshclient import Login
from darlingbuilder.core import keypair, render, wait
from darlingbuilder.core.errors import PrerequisiteError
from darlingbuilder.steps.prerequisites import cure
from darlingbuilder.steps.prerequisites.finding import Verdict, failure, ok, warning
from darlingbuilder.steps.prerequisites.guest import responsive
from darlingbuilder.steps.prerequisites.scratch import Scratch, UnseenError, outcome, shown, tail

_IPV4, _IPV6 = "127.0.0.1", "::1"
_ETC = Path("/private/etc/darlingbuilder-probe")
_CONFIG, _HOST_KEY, _AUTHORIZED = _ETC / "sshd_config", _ETC / "host_key", _ETC / "authorized_keys"
_SSH = "SSH-2.0-"
# What a stock Darling's sshd says when it drops an IPv4 connection, and closefrom() into each session.
_IP_OPTIONS = "IP opts"
_STRAY = "Unsupported pidinfo flavor: 1"
_UP_SECONDS = 8.0
_BANNER_SECONDS = 3.0
_LOGIN_SECONDS = 10.0
_ALIAS = "darlingbuilder-probe"


@dataclass(frozen=True, slots=True)
class Answers:
    """What an sshd in the guest has answered; ``log``: the end of what it has printed."""

    port: int
    ipv4: str | None
    ipv6: str | None
    log: str


def ipv4(scratch: Scratch) -> Verdict:
    """Connect to an sshd in the guest by both addresses."""
    return judge_ipv4(scratch.once(_serve))


def judge_ipv4(seen: Answers) -> Verdict:
    """Say whether the host's Nix could connect, which it does by 127.0.0.1."""
    if (seen.ipv4 or "").startswith(_SSH):
        return ok(f"{shown(seen.ipv4 or '')} on {_IPV4}", "answers")
    if _IP_OPTIONS in seen.log or (seen.ipv6 or "").startswith(_SSH):
        return warning(
            f"connections to {_IPV4} die, those to {_IPV6} do not",
            cure.hint("getsockopt"),
            "dies",
        )
    said = f"; it says: {shown(seen.log)}" if seen.log else ""
    return failure(
        f"an sshd in the guest, port {seen.port}, does not greet{said}",
        "run it by hand: darling shell /usr/sbin/sshd -d -p 2223",
        "silent",
    )


def output(scratch: Scratch) -> Verdict:
    """Log in to that sshd and look at what a session prints besides what it is asked to."""
    seen = scratch.once(_serve)
    address = next((to for to, line in ((_IPV4, seen.ipv4), (_IPV6, seen.ipv6)) if (line or "").startswith(_SSH)), "")
    if not address:
        raise UnseenError(
            "not looked at: no address of an sshd in the guest answers", hint="see to «sshd ipv4» first"
        )
    word = secrets.token_hex(8)
    limit = scratch.left(_LOGIN_SECONDS)
    login = _login(scratch, seen.port, address)
    said = scratch.surroundings.world.ssh.session(login, f"echo {word}", timeout=limit)
    return judge_output(said, word, limit)


def judge_output(said: Completed, word: str, seconds: float) -> Verdict:
    """Say whether a session that is to print ``word`` prints just that."""
    lines = said.stdout.splitlines()
    if word not in lines:
        return failure(
            f"a session does not do what it is told: {outcome(said, seconds)}", "report it: nothing cures this"
        )
    stray = [line for line in lines if line != word]
    if not stray and said.stdout == f"{word}\n":
        return ok("a session prints what it is asked to, and nothing else", 0)
    detail = f"{len(stray)} stray lines in a session: {shown(' / '.join(stray))}"
    if all(_STRAY in line for line in stray):
        return warning(detail, cure.hint("proc_pidinfo"), len(stray))
    return failure(
        detail, "find what prints that (a profile in /etc of the guest?); the shim does not cure it", len(stray)
    )


def _serve(scratch: Scratch) -> Answers:
    darling, port, log = responsive(scratch), _free_port(), scratch.log("sshd")
    _configure(scratch, darling, port)
    with log.open("ab") as file:
        running = darling.start("/usr/sbin/sshd", "-D", "-e", "-f", str(_CONFIG), log=file)
    # It runs on until the container goes down.
    _await(running, port, scratch.left(_UP_SECONDS))
    first = tcp.banner(port, timeout=scratch.left(_BANNER_SECONDS), address=_IPV4)
    second = tcp.banner(port, timeout=scratch.left(_BANNER_SECONDS), address=_IPV6)
    return Answers(port, first, second, tail(log))


def _await(running: Running, port: int, seconds: float) -> None:
    def answers() -> bool:
        return running.poll() is not None or tcp.refusal(port, timeout=seconds) is None

    wait.until(answers, seconds=seconds)


def _configure(scratch: Scratch, darling: Darling, port: int) -> None:
    host, owner = keypair.generate(_ALIAS), scratch.account.owner
    user = keypair.generate(_ALIAS)
    files = darling.files()
    config = render.template(
        "probe_sshd_config.j2",
        port=port,
        user=scratch.account.name,
        host_key=_HOST_KEY,
        authorized_keys=_AUTHORIZED,
    )
    files.make_directory(_ETC, mode=0o700, owner=owner)
    files.write(_HOST_KEY, host, mode=0o600, owner=owner)
    files.write(_AUTHORIZED, f"restrict {keypair.public_of(user).line}".encode(), mode=0o600, owner=owner)
    files.write(_CONFIG, config.encode(), mode=0o600, owner=owner)
    tree = scratch.surroundings.world.host
    tree.write(scratch.directory / "keys" / "user", user, mode=0o600)
    known = f"{_ALIAS} {keypair.public_of(host).line}"
    tree.write(scratch.directory / "keys" / "known_hosts", known.encode())


def _login(scratch: Scratch, port: int, address: str) -> Login:
    return Login(
        user=scratch.account.name,
        port=port,
        key=scratch.keys / "user",
        known_hosts=scratch.keys / "known_hosts",
        alias=_ALIAS,
        address=address,
    )


def _free_port() -> int:
    with socket.create_server((_IPV4, 0)) as opened:
        port: int = opened.getsockname()[1]
    if port <= 1024:  # noqa: PLR2004 - the kernel gives none of those
        raise PrerequisiteError(f"the kernel gives port {port}", hint="look at net.ipv4.ip_local_port_range")
    return port
