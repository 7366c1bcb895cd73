"""Another machine that is to build by the builder of a site: a plain Debian with Nix and ssh, on a cable to it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from integration.machine import cable
from integration.machine.commands import Completed, Process
from integration.machine.machine import Machine
from integration.machine.roots import Suite, debian_root
from integration.suite.site import Site

HOST, HOST6 = "10.77.0.1", "fd77::1"
OURS, OURS6 = "10.77.0.2", "fd77::2"
KEY = "/etc/nix/builder-key"
# Where root's own ssh finds it, for the login on the way.
_LOGIN_KEY = "/root/.ssh/id_ed25519"
# As docs/clients.md has it.
_WAY = 'restrict,port-forwarding,permitopen="127.0.0.1:2222"'
LOGIN = f"builds@{HOST}"
_PLACE = re.compile(r"# For the client's (\S+?)\.?(?: |$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Client:
    """A booted machine, and the site whose builder it is to use."""

    machine: Machine
    site: Site

    @property
    def key(self) -> str:
        """The public half of its key."""
        return self.machine.path(f"{KEY}.pub").read_text()

    def admit(self, name: str = "laptop") -> None:
        """Have the builder let it in."""
        self.site.tool("client", "add", name, "--key", "-", stdin=self.key, timeout=60)

    def export(self, *words: str) -> str:
        """Give what the site exports for it."""
        return self.site.tool("export", "--key", KEY, *words).stdout

    def configure(self, *words: str, formats: tuple[str, ...] = ("machines", "ssh-config", "known-hosts")) -> None:
        """Put each snippet where it says itself that it belongs, and nothing else."""
        self.forget()
        for name in formats:
            text = self.export("--format", name, *words)
            found = _PLACE.search(text)
            assert found, text
            path = self.machine.path(found[1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def forget(self) -> None:
        """Remove all such snippets."""
        self.machine.run(
            "sh", "-c", "rm -f /etc/nix/machines /etc/ssh/ssh_known_hosts /etc/ssh/ssh_config.d/darling-*"
        )

    def nix_build(self, expression: str, *options: str, timeout: float = 90) -> Completed:
        """Have its Nix build something, with no local jobs."""
        return self.machine.run(*_command(expression, options), env=_DAEMON, timeout=timeout, check=False)

    def begin(self, expression: str) -> Process[bytes]:
        """Have its Nix begin to build something."""
        return self.machine.popen(*_command(expression, ()), env=_DAEMON)

    def login(self, *options: str) -> Completed:
        """Log in by its key, with no configuration but ``options``."""
        return self.machine.run(
            "ssh", "-F", "none", "-i", KEY, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-p", "2222", *options, "echo", "admitted",
            check=False,
        )  # fmt: skip


_DAEMON = {"NIX_REMOTE": "daemon"}


def _command(expression: str, options: tuple[str, ...]) -> tuple[str, ...]:
    return ("nix-build", "--no-out-link", "--max-jobs", "0", *options, "--expr", expression)


@contextmanager
def joined(site: Site, suite: Suite) -> Iterator[Client]:
    """Give a client with keys of its own, and a login on the site's machine, from where it may go to the port."""
    with Machine.create(debian_root(suite)) as machine:
        machine.boot()
        cable.join(site.machine, machine)
        cable.give(site.machine, f"{HOST}/24", f"{HOST6}/64")
        cable.give(machine, f"{OURS}/24", f"{OURS6}/64")
        for key in (KEY, _LOGIN_KEY):
            machine.run(
                "sh", "-c", f"mkdir -p -m 700 {key.rpartition('/')[0]}; ssh-keygen -qt ed25519 -N '' -f {key}"
            )
        _open_the_way(site, machine.path(f"{_LOGIN_KEY}.pub").read_text())
        yield Client(machine, site)
    assert machine.leftovers() == []


def _open_the_way(site: Site, key: str) -> None:
    """Have the site's own sshd run, and let somebody in who may do nothing but go on to the builder's port."""
    run, script = (
        site.machine.run,
        "id builds || useradd --create-home builds; install -d -m 700 -o builds ~builds/.ssh",
    )
    run("sh", "-c", script)
    site.file("/home/builds/.ssh/authorized_keys").write_text(f"{_WAY} {key}")
    run("sh", "-c", "chown builds ~builds/.ssh/authorized_keys; ssh-keygen -qA; mkdir -p /run/sshd")
    run("systemd-run", "--quiet", "--collect", "--unit", "way", "/usr/sbin/sshd", "-D", check=False)
    run("sh", "-c", "until ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | grep -q ed25519; do sleep 0.1; done")
