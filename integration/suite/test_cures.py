"""The cure table: each breakage is named by ``status`` with exit 3, healed by ``init``, and gone for good."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from integration.suite.site import CONFIG, PREFIX, STATE, UNIT, Site, told

KEY = "/etc/nix/darling-builder-key"
GUEST_ETC = f"{PREFIX}/private/etc/darlingbuilder"
LOCK = "/run/darlingbuilder.lock"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"


@dataclass(frozen=True)
class Breakage:
    """Something that goes wrong; ``named``: what ``status`` must say of it."""

    what: str
    do: Callable[[Site], object]
    named: str

    def __str__(self) -> str:
        return self.what.replace(" ", "-")


def remove(path: str) -> Callable[[Site], object]:
    return lambda site: site.machine.run("rm", "-r", path)


def append(path: str, line: str) -> Callable[[Site], object]:
    def do(site: Site) -> None:
        file = site.file(path)
        file.write_text(f"{file.read_text()}{line}\n")

    return do


def command(*words: str) -> Callable[[Site], object]:
    return lambda site: site.machine.run(*words)


def in_guest(path: str, script: str) -> Callable[[Site], object]:
    """Change a file of the guest as the guest sees it: its container is running."""
    return lambda site: site.tool("shell", "bash", "-c", script.format(path=path))


def stopped(do: Callable[[Site], object]) -> Callable[[Site], object]:
    def both(site: Site) -> None:
        site.tool("stop")
        do(site)

    return both


def kill_server(site: Site) -> None:
    site.machine.run("sh", "-c", f"kill -KILL $(cat {PREFIX}/.init.pid)")
    await_notice(site)


def kill_sshd(site: Site) -> None:
    listening = site.machine.run("ss", "-Hltnp", "sport = :2222").stdout
    site.machine.run("kill", "-KILL", listening.partition("pid=")[2].partition(",")[0])
    await_notice(site)


def await_notice(site: Site) -> None:
    """Wait until serve has seen that a part of it is gone; systemd starts it again two seconds later."""
    seen = f"until ! systemctl show --property=SubState {UNIT} | grep -q running; do sleep 0.02; done"
    site.machine.run("sh", "-c", seen, timeout=10)


def leave_stale_pid(site: Site) -> None:
    site.tool("stop")
    site.file(f"{PREFIX}/.init.pid").write_text("1\n")


def half_make_prefix(site: Site) -> None:
    site.tool("stop")
    site.machine.run("rm", "-r", PREFIX)
    site.machine.run("install", "-d", "-o", "darlingbuilder", "-g", "darlingbuilder", PREFIX)


def change_port(site: Site) -> None:
    site.configure(port=2223 if site.settings.get("port") != 2223 else 2222)


def link_nix_as_the_seed_did(site: Site) -> None:
    site.tool("stop")
    site.machine.run("rm", "-r", f"{PREFIX}/nix")
    site.machine.run("ln", "-s", "/Volumes/SystemRoot/nix", f"{PREFIX}/nix")


TABLE = (
    Breakage("public half of the key gone", remove(f"{KEY}.pub"), f"{KEY}.pub"),
    Breakage("public half of another key", append(f"{KEY}.pub", "ssh-ed25519 AAAA other"), f"{KEY}.pub"),
    Breakage("key readable by all", command("chmod", "0644", KEY), "0644"),
    Breakage("known_hosts edited", append(f"{STATE}/known_hosts", "# mine"), "known_hosts"),
    Breakage("sshd_config edited", append(f"{GUEST_ETC}/sshd_config", "PermitRootLogin yes"), "sshd_config"),
    Breakage(
        "authorized_keys emptied", command("truncate", "-s0", f"{GUEST_ETC}/authorized_keys"), "authorized_keys"
    ),
    Breakage("host key gone", stopped(remove(f"{GUEST_ETC}/ssh_host_ed25519_key")), "ssh_host_ed25519_key"),
    Breakage("nix.conf gone", stopped(remove(f"{PREFIX}/private/etc/nix/nix.conf")), "nix.conf"),
    Breakage("profile link gone", remove(f"{STATE}/nix/var/nix/profiles/default"), "nix"),
    Breakage("Nix database gone", stopped(remove(f"{STATE}/nix/var/nix/db")), "nix"),
    Breakage("seed's link for nix", link_nix_as_the_seed_did, "is a link to"),
    Breakage("unit masked", command("ln", "-sf", "/dev/null", UNIT_FILE), "masked"),
    Breakage("unit disabled", command("systemctl", "disable", UNIT), "disabled"),
    Breakage("unit stopped", command("systemctl", "stop", UNIT), "inactive"),
    Breakage("unit edited", append(UNIT_FILE, "Nice=10"), UNIT_FILE),
    Breakage("unit file gone", remove(UNIT_FILE), UNIT_FILE),
    Breakage("prefix half-made", half_make_prefix, "half-made"),
    Breakage("prefix gone", stopped(remove(PREFIX)), PREFIX),
    Breakage("stale pid file", leave_stale_pid, "inactive"),
    Breakage("container killed", kill_server, UNIT),
    Breakage("sshd killed", kill_sshd, UNIT),
    Breakage("machines line edited", append("/etc/nix/darling-builder.machines", "ssh://else"), "machines"),
    Breakage("machines include gone", remove("/etc/nix/machines"), "machines"),
    Breakage("ssh alias gone", remove("/etc/ssh/ssh_config.d/darling-builder.conf"), "darling-builder.conf"),
    Breakage("settings changed", change_port, "setting port"),
)


@pytest.mark.parametrize("breakage", TABLE, ids=str)
def test_a_breakage_is_named_and_healed(builder: Site, breakage: Breakage) -> None:
    assert builder.status()[0] == 0, builder.drift()

    breakage.do(builder)

    code, answer = builder.status()
    assert code == 3
    assert breakage.named in told(answer)
    builder.tool("init")
    builder.assert_healthy(build=False)


@pytest.mark.parametrize("number", ["TERM", "INT", "KILL"])
@pytest.mark.parametrize("seconds", [0.4, 0.6, 0.9, 1.3])
def test_an_init_that_is_ended_at_any_point_is_taken_up_by_the_next(
    builder: Site, seconds: float, number: str
) -> None:
    builder.tool("stop")
    builder.machine.run("rm", "-r", PREFIX, f"{PREFIX}.workdir", f"{STATE}/nix", UNIT_FILE)

    ended = builder.machine.run("timeout", f"--signal={number}", str(seconds), "darlingbuilder", "init", check=False)

    assert ended.rc != 0
    assert "Traceback" not in ended.stderr
    builder.tool("init")
    builder.assert_healthy(build=False)


def test_after_all_of_it_the_builder_still_builds(builder: Site) -> None:
    builder.assert_healthy()


def test_a_foreign_server_on_the_port_is_refused_by_name(builder: Site) -> None:
    builder.tool("stop")
    port = builder.status()[1]["port"]
    script = f"import socket,time; s=socket.create_server(('127.0.0.1',{port})); time.sleep(600)"
    foreign = builder.machine.popen("python3", "-c", script)
    builder.machine.run("sh", "-c", f"until ss -Hltn sport = :{port} | grep -q .; do sleep 0.05; done")

    refused = builder.tool("init", check=False)

    assert refused.rc == 5
    assert "python3" in refused.stderr
    assert builder.status()[0] == 3
    foreign.kill()
    foreign.communicate()
    builder.machine.run("sh", "-c", f"while ss -Hltn sport = :{port} | grep -q .; do sleep 0.05; done")
    builder.tool("init")
    builder.assert_healthy()


def test_a_second_init_says_who_holds_the_lock(builder: Site) -> None:
    holder = builder.machine.popen("flock", "--no-fork", LOCK, "sh", "-c", "echo held; exec sleep 60")
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"

    refused = builder.tool("init", check=False)

    assert refused.rc == 1
    assert "is at work" in refused.stderr
    holder.kill()
    holder.communicate()


def test_the_settings_file_is_still_the_users(builder: Site) -> None:
    assert "nix.tarball" in builder.file(CONFIG).read_text()
