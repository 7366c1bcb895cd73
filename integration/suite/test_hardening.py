"""The unit's walls: what a build can reach of the host through /Volumes/SystemRoot, with them and without."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from integration.suite.site import STATE, UNIT, USER, Site

HOST = "/Volumes/SystemRoot"
SECRET = f"secret-{secrets.token_hex(8)}"
# Every one is open to all as files go, so that nothing but the unit keeps a build from it.
OPEN = (
    "/root/open/secret",
    "/home/someone/secret",
    "/tmp/somebody/secret",  # noqa: S108 - on the machine, where nobody else is
    "/var/tmp/somebody/secret",  # noqa: S108 - as above
    "/dev/shm/somebody/secret",  # noqa: S108 - as above
    "/run/user/1000/secret",
)
WALL_LESS = "\n".join(
    (
        "[Service]",
        *("ProtectSystem=no", "ProtectHome=no", "PrivateTmp=no", "PrivateDevices=no", "ProtectProc=default"),
        *("ProtectKernelTunables=no", "ProtectControlGroups=no", "ProtectKernelLogs=no", "InaccessiblePaths="),
        *("ReadOnlyPaths=", "TemporaryFileSystem="),
    )
)


@dataclass(frozen=True, slots=True)
class Attack:
    """What a build tries; ``taken``: a regular expression for what it prints where it succeeds."""

    name: str
    command: str
    taken: str
    # Refused by the files' own permissions already, walls or not.
    by_permission: bool = False


def reading(path: str, taken: str = SECRET, *, by_permission: bool = False) -> Attack:
    return Attack(f"read {path}", f"/bin/cat {HOST}{path}", taken, by_permission)


def writing(directory: str, *, by_permission: bool = False) -> Attack:
    """Write a file there; whether it has come about is for the host to say."""
    return Attack(f"write {directory}", f"echo written > {HOST}{directory}/planted", r"\A\Z", by_permission)


READS = (
    *map(reading, OPEN),
    reading("/nix/var/nix/db/db.sqlite", "SQLite format 3"),
    Attack("list other processes", f"/bin/ls {HOST}/proc", r"^1$"),
    reading("/etc/shadow", "root:", by_permission=True),
    reading("/etc/nix/darling-builder-key", "PRIVATE KEY", by_permission=True),
    reading(f"{STATE}/keys/ssh_host_ed25519_key", "PRIVATE KEY", by_permission=True),
    reading("/run/darlingbuilder-host/db/db.sqlite", "SQLite format 3", by_permission=True),
)
WRITES = (
    *(writing(path) for path in ("/srv/open", "/tmp", "/var/tmp", "/run/lock", "/dev/shm", "/home/someone")),  # noqa: S108
    *(writing(path, by_permission=True) for path in ("/etc", "/nix/store", "/nix/var/nix/gcroots", STATE)),
)


@pytest.fixture(scope="module", params=["copy", "overlay"])
def attacked(request: pytest.FixtureRequest, builder: Site) -> Site:
    """A machine whose owner has left much open; with a store that is the guest's own, and one that is shared."""
    builder.configure(store=request.param)
    builder.tool("init")
    run = builder.machine.run
    for path in OPEN:
        directory = path.rpartition("/")[0]
        run("sh", "-c", f"mkdir -p {directory} && echo {SECRET} > {path} && chmod 644 {path}")
    run("chmod", "755", "/root", "/root/open", "/home/someone", "/run/user", "/run/user/1000")
    run("mkdir", "--parents", "/srv/open")
    run("chmod", "1777", "/srv/open", "/run/lock", "/home/someone")
    return builder


def attempts(site: Site, attacks: tuple[Attack, ...]) -> dict[str, str]:
    """Have one build try all of it, and give what each attempt printed."""
    tries = "; ".join(
        f"echo; echo @@{number}; ( {attack.command} ) 2>&1 || echo refused" for number, attack in enumerate(attacks)
    )
    built = site.build(
        f'derivation {{ name = "attack-{secrets.token_hex(8)}"; system = "x86_64-darwin"; builder = "/bin/sh"; '
        f'args = [ "-c" "( {tries} ) > $out; exit 0" ]; }}'
    )
    printed = site.machine.path(built.stdout.strip()).read_bytes().decode(errors="replace")
    parts = re.split(r"^@@\d+\n", printed, flags=re.MULTILINE)[1:]
    return {attack.name: part for attack, part in zip(attacks, parts, strict=True)}


def written(site: Site, attack: Attack) -> bool:
    """Whether the host holds what an attack has written, and remove it."""
    planted = f"{attack.name.removeprefix('write ')}/planted"
    return site.machine.run("rm", planted, check=False).rc == 0


@contextmanager
def wall_less(site: Site) -> Iterator[None]:
    """Run the same builder without its walls, by a drop-in."""
    drop_in = site.file(f"/etc/systemd/system/{UNIT}.d/open.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(WALL_LESS)
    try:
        restart(site)
        yield
    finally:
        drop_in.unlink()
        drop_in.parent.rmdir()
        restart(site)


def restart(site: Site) -> None:
    site.machine.run("systemctl", "daemon-reload")
    site.tool("restart")


def taken(site: Site) -> list[str]:
    """Name the attacks that succeed now."""
    printed = attempts(site, READS)
    read = [attack.name for attack in READS if re.search(attack.taken, printed[attack.name], re.MULTILINE)]
    attempts(site, WRITES)
    return read + [attack.name for attack in WRITES if written(site, attack)]


def test_no_build_reaches_what_is_none_of_its_business(attacked: Site) -> None:
    assert taken(attacked) == []


def test_it_is_the_unit_that_keeps_the_builds_from_it(attacked: Site) -> None:
    with wall_less(attacked):
        reached = taken(attacked)

    assert reached == [attack.name for attack in (*READS, *WRITES) if not attack.by_permission]
    attacked.assert_healthy()


def test_the_guest_is_the_users_alone(attacked: Site) -> None:
    """Nothing in the container runs as root: ps in its own pid namespace, as the host sees it."""
    listed = attacked.machine.run("ps", "-o", "user=", "-u", USER).stdout.split()
    assert set(listed) == {USER}
    nobody_else = attacked.machine.run("systemctl", "show", "--property=MainPID", "--value", UNIT).stdout.strip()
    members = attacked.machine.run("sh", "-c", f"cat /sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs").stdout.split()
    owners = attacked.machine.run("ps", "-o", "pid=,user=", "-p", ",".join(members)).stdout.splitlines()
    assert [line.split()[0] for line in owners if line.split()[1] != USER] == [nobody_else]


def test_what_systemd_says_of_the_unit(attacked: Site, capsys: pytest.CaptureFixture[str]) -> None:
    printed = attacked.machine.run("systemd-analyze", "security", "--no-pager", UNIT, check=False).stdout
    [(score, word)] = re.findall(r"exposure level for \S+: ([\d.]+) (\w+)", printed)
    with capsys.disabled():
        print(f"\nsystemd-analyze security: {score} {word}")  # noqa: T201 - the issue wants the score seen
    assert float(score) < 5


def test_the_limits_are_the_units(attacked: Site) -> None:
    attacked.set(limits__tasks_max=4000, limits__nice=5, limits__cpu_quota="150%", limits__memory_max="2G")
    attacked.tool("init")

    shown = attacked.machine.run(
        "systemctl", "show", UNIT, "--property=TasksMax,Nice,CPUQuotaPerSecUSec,MemoryMax,OOMScoreAdjust,IOWeight"
    ).stdout.split()
    assert sorted(shown) == [
        *("CPUQuotaPerSecUSec=1.500000s", "IOWeight=100", f"MemoryMax={2 * 2**30}", "Nice=5"),
        *("OOMScoreAdjust=500", "TasksMax=4000"),
    ]
    attacked.assert_healthy()
