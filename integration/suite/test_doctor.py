"""``doctor`` on a real machine: every probe of the Darling, and launchers that hang, crash and print garbage."""

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from integration.suite.site import STATE, Site

PREREQUISITE = 5
PROBES = (
    "version", "boot", "first boot", "boot output", "exit status", "exit after kill", "process group", "sshd ipv4",
    "sshd output", "lchflags", "renameatx_np", "clonefile", "open files", "dns", "identity", "shutdown",
)  # fmt: skip
HOST = ("launcher", "disk", "datagrams")
LAUNCHER = "/usr/local/bin/wrong-darling"
SCRATCH = ".darlingbuilder-doctor-"
# Of a launcher that hangs, one call for the version and one boot are waited for.
SECONDS = 40
# Boots as it should, and does something else with all that is asked of the guest afterwards.
LATER = 'case "$*" in "shell true"|shutdown|--version) exec /usr/local/bin/darling "$@";; esac; '
BOOT_HANGS = 'case "$*" in --version) exec /usr/local/bin/darling "$@";; esac; sleep 700 & wait'
WRONG = {
    "hangs": ("sleep 700", "no end within"),
    "hangs with a child": ("trap '' TERM; sleep 700 & wait", "no end within"),
    "gives a crash's status": ("exit 139", "status 139"),
    "crashes": ("kill -SEGV $$", "ended by signal SEGV"),
    "prints garbage": ("head -c 100000 /dev/urandom", "printed: "),
    "prints without end": ("exec cat /dev/zero", "ended by signal XFSZ"),
    "prints words without end": ("exec yes", "ended by signal XFSZ"),
    "is silent": ("exit 0", "printed nothing"),
}


def examined(site: Site, *flags: str, user: str | None = None) -> tuple[int, dict[str, Any], float]:
    began = time.monotonic()
    said = site.machine.run("darlingbuilder", "doctor", "--json", *flags, user=user, check=False, timeout=90)
    assert "Traceback" not in said.stderr
    findings = {found["name"]: found for found in json.loads(said.stdout)["findings"]}
    return said.rc, findings, time.monotonic() - began


def levels(findings: Mapping[str, Any]) -> dict[str, str]:
    return {name: findings[name]["level"] for name in PROBES}


@contextmanager
def leaving_nothing(site: Site) -> Iterator[None]:
    before = left(site)
    yield
    deadline = time.monotonic() + 10
    # Killed processes are gone a moment later.
    while left(site) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left(site) == before


def left(site: Site) -> str:
    """Everything that a doctor could leave: directories, mounts, and processes that are nobody else's.

    A dead server is reaped by the stand-in after a while, as the real one's is (FACTS).
    """
    script = (
        f"ls -A /var/lib {STATE} 2>/dev/null; ls -A /tmp; cat /proc/self/mountinfo | wc -l; "
        "ps -eo comm,args | grep -E 'darling|sleep 700|sshd' | grep -v -e grep -e defunct | sort"
    )
    return site.machine.run("sh", "-c", script, check=False).stdout


@contextmanager
def wrong_launcher(site: Site, script: str) -> Iterator[None]:
    file = site.file(LAUNCHER)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o4755)
    try:
        yield
    finally:
        file.unlink()


def test_every_probe_is_listed_with_state_figure_and_hint(site: Site) -> None:
    with leaving_nothing(site):
        code, findings, seconds = examined(site)

    assert code == 0, findings
    assert [name for name in (*HOST, *PROBES) if name not in findings] == []
    for found in (findings[name] for name in PROBES):
        assert found["level"] in {"ok", "warning"}, found
        assert found["reason"], found
        assert found["link"].startswith("https://"), found
        assert bool(found["hint"]) is (found["level"] == "warning"), found
        assert found["figure"] is not None or found["detail"].startswith(("not looked at", "the guest cannot")), found
    assert seconds < SECONDS


def test_what_the_stand_in_reproduces_is_found(site: Site) -> None:
    _, findings, _ = examined(site)

    assert findings["version"]["figure"] == "test"
    assert findings["boot"]["detail"] == "as nobody"
    assert 0 < findings["first boot"]["figure"] < 10
    assert (findings["boot output"]["level"], findings["boot output"]["figure"]) == ("warning", "held")
    assert findings["boot output"]["link"].endswith("/1510")
    assert (findings["exit status"]["level"], findings["exit status"]["figure"]) == ("ok", 42)
    assert (findings["exit after kill"]["level"], findings["exit after kill"]["figure"]) == ("warning", 0)
    assert (findings["process group"]["level"], findings["process group"]["figure"]) == ("warning", 1)
    assert (findings["sshd ipv4"]["level"], findings["sshd ipv4"]["figure"]) == ("warning", "dies")
    assert (findings["sshd output"]["level"], findings["sshd output"]["figure"]) == ("warning", 2)
    for name, correction in {
        "process group": "signals",
        "sshd ipv4": "getsockopt",
        "sshd output": "proc_pidinfo",
    }.items():
        assert correction in findings[name]["hint"]
    assert (findings["open files"]["level"], findings["open files"]["figure"]) == ("ok", 256)
    assert findings["identity"]["figure"].startswith("11")
    assert isinstance(findings["datagrams"]["figure"], int)
    assert findings["disk"]["figure"] > 0
    # The stand-in is Linux: no Mach-O program starts in it.
    assert {findings[name]["level"] for name in ("lchflags", "renameatx_np", "clonefile")} == {"warning"}


@pytest.mark.parametrize("what", WRONG)
def test_a_launcher_that_is_wrong_is_told_within_the_bound(site: Site, what: str) -> None:
    script, says = WRONG[what]
    with leaving_nothing(site), wrong_launcher(site, script):
        code, findings, seconds = examined(site, "--darling", LAUNCHER)

    assert code == PREREQUISITE
    assert (findings["version"]["level"], findings["boot"]["level"]) == ("failure", "failure")
    assert says in findings["version"]["detail"]
    assert findings["boot"]["detail"].isprintable()
    assert {findings[name]["detail"] for name in PROBES[2:]} == {"not looked at: the guest does not boot"}
    assert seconds < SECONDS


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sleep 700", "no end within"),
        ("exec cat /dev/zero", "signal XFSZ"),
        ("exit 139", "139"),
        ("exit 0", "status 0"),
    ],
)
def test_a_launcher_that_boots_and_then_goes_wrong_is_told_within_the_bound(
    site: Site, script: str, says: str
) -> None:
    with leaving_nothing(site), wrong_launcher(site, LATER + script):
        code, findings, seconds = examined(site, "--darling", LAUNCHER)

    assert code == PREREQUISITE
    assert (findings["boot"]["level"], findings["exit status"]["level"]) == ("ok", "failure")
    assert says in findings["exit status"]["detail"]
    assert "ok" not in {findings[name]["level"] for name in ("sshd output", "dns", "identity", "open files")}
    assert seconds < SECONDS


def test_an_ordinary_user_is_told_what_takes_root(site: Site) -> None:
    with leaving_nothing(site):
        code, findings, _ = examined(site, user="nobody")

    assert code == PREREQUISITE
    assert findings["root"]["level"] == "failure"
    assert set(levels(findings).values()) == {"warning"}
    assert {findings[name]["hint"] for name in PROBES} == {"run it with sudo"}


@pytest.mark.parametrize("script", [LATER + "sleep 700", BOOT_HANGS], ids=["in a probe", "in the boot"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_nothing_is_left_when_it_is_interrupted(site: Site, number: signal.Signals, script: str) -> None:
    # A shell has what it starts in the background ignore SIGINT.
    doctor = f"env --default-signal=INT darlingbuilder doctor --darling {LAUNCHER}"
    with leaving_nothing(site), wrong_launcher(site, script):
        said = site.machine.run(
            "sh",
            "-c",
            f"{doctor} & doctor=$!; sleep 2; kill -{number} $doctor; wait $doctor",
            check=False,
            timeout=60,
        )

    assert said.rc == 130, said.stdout + said.stderr


def test_a_builder_that_runs_is_asked_and_left_alone(builder: Site) -> None:
    running = builder.machine.run("systemctl", "show", "--property=MainPID", "darling-builder.service").stdout
    with leaving_nothing(builder):
        code, findings, _ = examined(builder)

    assert code == 0, findings
    assert findings["boot"]["detail"] == "as darlingbuilder"
    assert findings["open files"]["detail"] == "256 in the builder's container"
    assert builder.machine.run("systemctl", "show", "--property=MainPID", "darling-builder.service").stdout == running
    builder.assert_healthy(build=False)
