"""A builder that fails: it is noticed, never stalls a build, and is used again as soon as it is mended."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from integration.machine.commands import Completed
from integration.suite.site import PREFIX, STATE, UNIT, USER, Site

pytestmark = [pytest.mark.alone, pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True)]

MACHINES = "/etc/nix/darling-builder.machines"
OUT_OF_SERVICE = "ssh-ng://darling-builder-out-of-service"
# The guest's Nix as the guest's user would break it: the host's ssh still gets a session.
GUEST_NIX = "/nix/var/nix/profiles/default/bin/nix-store"
BUILD = (
    'derivation { name = "%s"; system = "x86_64-darwin"; builder = "/bin/sh"; args = [ "-c" "echo done > $out" ]; }'
)


def timed(work: Callable[[], Completed]) -> tuple[Completed, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def tried(builder: Site, name: str) -> tuple[Completed, float]:
    return timed(lambda: builder.build(BUILD % name, check=False, timeout=60))


def until(what: Callable[[], bool], seconds: float) -> float:
    """Wait for something, and say how long that took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.2)
    return time.monotonic() - began


def told(**figures: float) -> None:
    """Print what was measured; pytest shows it with -s or -rP."""
    sys.stdout.write("".join(f"  {what}: {seconds:.2f} s\n" for what, seconds in figures.items()))


def overview(builder: Site) -> dict[str, Any]:
    return builder.status()[1]


def journal(builder: Site) -> str:
    return builder.machine.journal(UNIT, lines=400)


@contextmanager
def unbootable(builder: Site) -> Iterator[None]:
    """Break the launcher, as an upgrade of Darling might; the service ends, and cannot start."""
    builder.machine.run("chmod", "u-s", builder.launcher)
    builder.machine.run("sh", "-c", f"kill -KILL $(systemctl show --property=MainPID --value {UNIT})")
    try:
        yield
    finally:
        builder.machine.run("chmod", "u+s", builder.launcher)


def test_a_builder_that_does_not_boot_costs_a_build_no_time_and_is_named(builder: Site) -> None:
    with unbootable(builder):
        # from the first moment on: nobody listens
        failed, took = tried(builder, "first")
        assert failed.rc != 0
        assert "cannot build on 'ssh-ng://darling-builder'" in failed.stderr
        assert took < 10

        # after failures in a row, by the breaker
        opens = until(lambda: overview(builder)["breaker"] is not None, 30)
        assert "is not setuid root" in overview(builder)["breaker"]["reason"]
        assert builder.file(MACHINES).read_text().splitlines()[-1].startswith(f"{OUT_OF_SERVICE} x86_64-darwin ")
        failed, took_then = tried(builder, "second")
        assert failed.rc != 0
        assert f"cannot build on '{OUT_OF_SERVICE}'" in failed.stderr
        assert took_then < 10
    told(build_at_once=took, breaker_opens=opens, build_while_it_is_open=took_then)
    until(lambda: builder.status()[0] == 0, 60)


def test_what_is_mended_is_used_again_without_a_command(builder: Site) -> None:
    with unbootable(builder):
        # the hook of each further start leaves the line as it is, and status finds nothing wrong with it
        until(lambda: "waiting before another start" in journal(builder), 30)
        wrong = [step["step"] for step in overview(builder)["steps"] if step["drift"] or step["error"]]
        assert wrong == ["service"]
        assert "darlingbuilder_breaker_open 1.0" in builder.tool("metrics").stdout

    back = until(lambda: builder.status()[0] == 0, 60)

    assert overview(builder)["breaker"] is None
    assert OUT_OF_SERVICE not in builder.file(MACHINES).read_text()
    built, took = tried(builder, "third")
    assert built.rc == 0, built.stderr
    assert "the builder is out of service" in journal(builder)
    assert "the builder is in service again" in journal(builder)
    told(back_after_it_was_mended=back, build=took)


def test_a_mistake_in_the_settings_slows_the_starts_down_and_is_told(builder: Site) -> None:
    # given
    config, record = builder.file(builder.config), builder.file(f"{STATE}/failures.json")
    right = config.read_text()
    builder.tool("restart")  # forgets what has failed before
    config.write_text(f"{right}prot = 2222\n")
    try:
        # when: saved, and some day later it crashes
        builder.machine.run("systemctl", "kill", "--kill-whom=all", "--signal=KILL", UNIT)
        until(lambda: overview(builder)["breaker"] is not None, 60)
        # then: Nix is told, and starts get rarer
        assert builder.file(MACHINES).read_text().splitlines()[-1].startswith(f"{OUT_OF_SERVICE} x86_64-darwin ")
        until(lambda: json.loads(record.read_text())["failures"] >= 5, 60)
        failures = json.loads(record.read_text())["failures"]
        time.sleep(20)
        assert json.loads(record.read_text())["failures"] - failures <= 3
        # and: whoever looks is told why, once by the builder and once by the file
        answer = overview(builder)
        assert "config.toml: unknown setting 'prot'" in answer["breaker"]["reason"]
        errors = {step["step"]: step["error"] for step in answer["steps"] if step["error"]}
        assert "config.toml: unknown setting 'prot'" in errors["settings"]
        assert "those that the builder was made with hold" in builder.tool("stop").stderr
        assert builder.tool("init", check=False).rc == 4
        builder.tool("start", check=False)
    finally:
        config.write_text(right)
    # mended, it comes back without a command
    told(back_after_the_file_was_mended=until(lambda: builder.status()[0] == 0, 60))
    assert tried(builder, "mended")[0].rc == 0


def test_a_command_does_not_wait_for_the_next_attempt(builder: Site) -> None:
    # given: it has failed so often that the next attempt is half a minute away
    record = builder.file(f"{STATE}/failures.json")
    with unbootable(builder):
        until(lambda: overview(builder)["breaker"] is not None, 30)
        record.write_text(json.dumps(json.loads(record.read_text()) | {"vain": 20}))
        until(lambda: "waiting before another start seconds=30.0" in journal(builder), 30)
    # when
    _, took = timed(lambda: builder.tool("start"))
    # then
    told(start=took)
    assert took < 20
    assert overview(builder)["breaker"] is None
    assert tried(builder, "started")[0].rc == 0


def test_an_sshd_that_takes_connections_and_says_nothing_costs_a_build_less_than_ten_seconds(builder: Site) -> None:
    builder.machine.run("systemctl", "restart", UNIT)  # nobody has a connection to it that is kept
    stop_all = f"kill -{{}} $(pgrep -u {USER})"
    builder.machine.run("sh", "-c", stop_all.format("STOP"))

    failed, took = tried(builder, "hung")

    assert failed.rc != 0
    assert "cannot build on 'ssh-ng://darling-builder'" in failed.stderr
    assert took < 10

    # then: the watchdog notices, and the builder comes back by itself
    restarts = overview(builder)["restarts"]
    noticed = until(lambda: overview(builder)["restarts"] > restarts, 45)
    until(lambda: builder.status()[0] == 0, 30)
    assert "Watchdog timeout" in journal(builder)
    told(build_on_hung_sshd=took, noticed_after_that=noticed)
    assert tried(builder, "woken")[0].rc == 0


def test_a_guest_that_greets_and_runs_nothing_is_noticed(builder: Site) -> None:
    # given
    builder.set(health_interval=1, boot_timeout=15)
    builder.tool("init")
    until(lambda: builder.status()[0] == 0, 20)
    restarts = overview(builder)["restarts"]
    pid = builder.file(f"{PREFIX}/.init.pid").read_text().strip()
    program = f"/proc/{pid}/root{PREFIX}/bin/echo"
    # when: no program of the guest's can be started any more; its shell and its sshd are there
    hidden = builder.machine.run(
        "nsenter", "--mount", f"--target={pid}", "mount", "--bind", "/dev/null", program.split(f"/proc/{pid}/root")[1]
    )
    assert hidden.rc == 0
    until(lambda: overview(builder)["restarts"] > restarts, 60)
    # then: it is booted anew, without what was wrong
    until(lambda: builder.status()[0] == 0, 30)
    said = journal(builder)
    assert said.count("a session in the guest has failed") >= 2
    assert "the guest runs no command any more: 3 sessions in a row failed" in said
    assert tried(builder, "revived")[0].rc == 0
    builder.configure()
    builder.tool("init")


def test_without_the_breaker_the_line_stays(builder: Site) -> None:
    builder.set(breaker=False)
    builder.tool("init")
    builder.tool("restart")  # forgets what has failed before
    record = builder.file(f"{STATE}/failures.json")
    with unbootable(builder):
        until(lambda: record.exists() and json.loads(record.read_text())["failures"] >= 3, 30)
        assert OUT_OF_SERVICE not in builder.file(MACHINES).read_text()
        failed, took = tried(builder, "unbroken")
        assert failed.rc != 0
        assert "cannot build on 'ssh-ng://darling-builder'" in failed.stderr
        assert took < 10
    until(lambda: builder.status()[0] == 0, 60)
    builder.configure()
    builder.tool("init")


def test_where_others_register_the_builder_the_line_that_they_include_says_so(builder: Site) -> None:
    builder.set(register=False)
    builder.tool("init")
    builder.tool("restart")
    offered = builder.file(f"{STATE}/machines")
    assert offered.read_text().splitlines()[-1].startswith("ssh-ng://darling-builder ")
    with unbootable(builder):
        until(lambda: OUT_OF_SERVICE in offered.read_text(), 30)
    until(lambda: OUT_OF_SERVICE not in offered.read_text(), 60)
    until(lambda: builder.status()[0] == 0, 30)
    builder.configure()
    builder.tool("init")


def test_nothing_of_it_is_left_by_an_uninstall(builder: Site) -> None:
    with unbootable(builder):
        until(lambda: overview(builder)["breaker"] is not None, 30)
        builder.tool("uninstall", "--purge")
    assert not builder.file(STATE).exists()
    assert not builder.file(MACHINES).exists()
    assert "darling-builder" not in builder.machine.run("ls", "/nix/var/nix/current-load", check=False).stdout
