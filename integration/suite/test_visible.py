"""What the builder shows of itself and of its neighbours: as it is, under load, and with half of the machine away."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration.suite import foreign
from integration.suite.site import UNIT, USER, Site

# It goes on until the host lets it end: how long the looks at it take, nobody knows.
HELD = """
  derivation {{ name = "slow"; system = "x86_64-darwin"; builder = "/bin/sh";
    args = [ "-c" "until test -e /Volumes/SystemRoot{gate}; do /bin/sleep 0.2; done; echo done > $out" ]; }}
"""
TEXTFILE = "/srv/metrics/darlingbuilder.prom"
STOP_BUS = ("systemctl", "stop", "dbus.service", "dbus.socket")
START_BUS = ("systemctl", "start", "dbus.socket", "dbus.service")
MOVE = "for tool in /usr/bin/nix*; do mv $tool /srv/away/; done"
MOVE_BACK = "mv /srv/away/nix* /usr/bin/"


@pytest.fixture(scope="module")
def seen(builder: Site) -> Site:
    """A machine with a running builder, and foreign ones beside it."""
    foreign.furnish(builder)
    return builder


def status(site: Site) -> dict[str, Any]:
    """Give the answer of ``status --json``, which its schema admits."""
    return valid(site, "status", site.tool("status", "--json", check=False).stdout)


def top(site: Site) -> dict[str, Any]:
    answer = valid(site, "top", site.tool("top", "--json", "--once", "--timeout", "3").stdout)
    return {builder["uri"]: builder for builder in answer["builders"]} | {"errors": answer["errors"]}


def valid(site: Site, verb: str, printed: str) -> dict[str, Any]:
    schema = json.loads(site.tool(verb, "--schema").stdout)
    answer: dict[str, Any] = json.loads(printed)
    jsonschema.Draft202012Validator(schema).validate(answer)
    return answer


def figures(text: str) -> dict[tuple[str, str], float]:
    """Give the samples of metrics by name and the value of their one label; each has its type and its help."""
    families = list(text_string_to_metric_families(text))
    assert all(family.type in {"gauge", "counter"} and family.documentation for family in families)
    return {
        (sample.name, "/".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def metrics(site: Site) -> dict[tuple[str, str], float]:
    return figures(site.tool("metrics").stdout)


@contextmanager
def building(site: Site, gate: str) -> Iterator[None]:
    """Have a build of ours run meanwhile; it ends when there is a file ``gate`` on the host."""
    expression = HELD.format(gate=gate)
    build = site.machine.popen(
        "nix-build", "--no-out-link", "--max-jobs", "0", "--expr", expression, env={"NIX_REMOTE": "daemon"}
    )
    try:
        site.machine.run("sh", "-c", f"until pgrep -u {USER} -f {gate} > /dev/null; do sleep 0.1; done", timeout=60)
        yield
    finally:
        site.file(gate).touch()
        _, err = build.communicate(timeout=60)
    assert build.returncode == 0, err.decode()


def test_status_tells_all_of_a_builder_as_it_should_be(seen: Site) -> None:
    seen.tool("test")
    answer = status(seen)

    assert answer["errors"] == []
    assert answer["state"] == "active (running)"
    assert (answer["result"], answer["converged"]) == ("success", True)
    assert time.time() - 120 < answer["booted"] < answer["since"] + 1  # /proc has the boot in whole seconds
    assert answer["banner"].startswith("SSH-2.0-OpenSSH")
    assert answer["nix"] == {"host": "2.26.3", "guest": seen.tarball.version}
    assert (answer["slots"], answer["builds"]) == ({"used": 0, "max": 4}, [])
    assert answer["tested"]["passed"]
    assert 0 <= time.time() - answer["tested"]["at"] < 60
    for key in answer["keys"]:
        told = seen.machine.run("ssh-keygen", "-l", "-f", key["path"]).stdout
        assert key["fingerprint"] == told.split()[1]


@pytest.mark.parametrize("protocol", ["ssh-ng", "ssh"])
def test_a_running_build_is_seen_with_its_slot_its_name_and_its_age(seen: Site, protocol: str) -> None:
    seen.set(protocol=protocol)
    seen.tool("init")
    with building(seen, f"/srv/gate-{protocol}"):
        answer, neighbours, counted = status(seen), top(seen), metrics(seen)
        plain = seen.tool("status").stdout

    assert answer["slots"] == {"used": 1, "max": 4}
    (build,) = answer["builds"]
    named = [build["derivation"]] if protocol == "ssh-ng" else build["outputs"]
    assert [name.partition("-")[2] for name in named] == ["slow.drv" if protocol == "ssh-ng" else "slow"]
    assert 0 <= time.time() - build["since"] < 60
    assert neighbours[f"{protocol}://darling-builder"]["slots"] == {"used": 1, "max": 4}
    assert counted["darlingbuilder_slots_used", ""] == counted["darlingbuilder_builds", ""] == 1
    assert f"build: {named[0]}, " in plain
    assert status(seen)["slots"]["used"] == 0


def test_top_shows_ours_and_those_of_others_side_by_side(seen: Site) -> None:
    began = time.monotonic()
    fleet = top(seen)
    took = time.monotonic() - began

    ours = next(one for uri, one in fleet.items() if uri.endswith("//darling-builder"))
    alive = fleet[foreign.ALIVE]
    for one in (ours, alive):
        assert one["answer"]["reachable"], one
        assert len(one["answer"]["load"]) == 3
        assert one["answer"]["memory"] > one["answer"]["memory_available"] > 0
        assert one["answer"]["processors"] >= 1
        assert 0 < one["answer"]["latency"] < 3
    assert (ours["ours"], alive["ours"]) == (True, False)
    assert (alive["systems"], alive["speed"], alive["features"]) == (
        ["x86_64-linux", "i686-linux"],
        2,
        ["big-parallel"],
    )
    assert alive["slots"] == {"used": 0, "max": 4}
    forced = fleet[foreign.FORCED]["answer"]
    assert (forced["reachable"], forced["load"]) == (True, None)
    assert "forced command" in forced["why"]
    assert fleet[foreign.SILENT]["answer"]["reachable"] is False
    assert "within 3 s" in fleet[foreign.SILENT]["answer"]["why"]
    assert fleet[foreign.OTHER]["why_not"] == "Nix reaches it without ssh"
    assert "takes no port" in fleet[foreign.PORTED]["why_not"]
    assert fleet["errors"] == []
    # One after the other it would be the sum.
    assert took < 8, took


def test_top_and_status_are_tables_on_a_terminal_and_refresh_in_place(seen: Site) -> None:
    for words in ("status", "top --once", "status --watch 0.5", "top --interval 0.5 --timeout 1"):
        command = f"timeout --preserve-status --signal INT 6 darlingbuilder {words}"
        shown = seen.machine.run("script", "-qec", command, "/dev/null", env={"TERM": "xterm"}, check=False)
        assert shown.rc == 0, shown.stdout
        assert "\x1b[" in shown.stdout
        assert "darling-builder" in shown.stdout
    for words in ("status --watch 0.5 --json", "top --interval 0.5 --timeout 1 --json"):
        command = f"timeout --preserve-status --signal INT 6 darlingbuilder {words}"
        lines = seen.machine.run("sh", "-c", command).stdout.split("\n")
        answers = [line for line in lines if line]
        assert len(answers) >= 2
        for line in answers:
            valid(seen, words.split()[0], line)


def test_without_a_bus_all_but_the_unit_is_told(seen: Site) -> None:
    seen.machine.run(*STOP_BUS)
    try:
        answer, fleet, counted = status(seen), top(seen), metrics(seen)
    finally:
        seen.machine.run(*START_BUS)

    assert [error["part"] for error in answer["errors"]] == ["unit"]
    assert answer["state"].startswith("unknown")
    assert answer["container"]
    assert counted["darlingbuilder_collector_success", "unit"] == 0
    assert not any(name == "darlingbuilder_unit_state" for name, _ in counted)
    assert fleet["errors"] == []


def test_with_the_container_down_everything_answers(seen: Site) -> None:
    seen.tool("stop")
    try:
        answer, fleet, counted = status(seen), top(seen), metrics(seen)
    finally:
        seen.tool("start")

    assert (answer["container"], answer["booted"], answer["banner"]) == (None, None, None)
    assert answer["state"] == "inactive (dead)"
    ours = next(one for uri, one in fleet.items() if uri.endswith("//darling-builder"))
    assert ours["answer"]["reachable"] is False
    assert "refused" in ours["answer"]["why"]
    assert (counted["darlingbuilder_container_up", ""], counted["darlingbuilder_sshd_up", ""]) == (0, 0)


def test_without_nix_everything_answers(seen: Site) -> None:
    seen.machine.run("mkdir", "--parents", "/srv/away")
    seen.machine.run("sh", "-c", MOVE)
    try:
        answer, fleet, counted = status(seen), top(seen), metrics(seen)
    finally:
        seen.machine.run("sh", "-c", MOVE_BACK)

    assert "nix.host" in [error["part"] for error in answer["errors"]]
    assert answer["nix"] == {"host": None, "guest": seen.tarball.version}
    assert {error["part"] for error in fleet["errors"]} == {"nix"}
    assert fleet[foreign.ALIVE]["answer"]["reachable"]  # the files are read nevertheless
    assert counted["darlingbuilder_collector_success", "nix.host"] == 0


def test_why_the_service_ended_last_is_kept_through_its_restart(seen: Site) -> None:
    before = status(seen)["restarts"]
    seen.machine.run("sh", "-c", f"kill -KILL $(systemctl show --property=MainPID --value {UNIT})")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not ((answer := status(seen))["restarts"] > before and answer["banner"]):
        time.sleep(0.3)

    assert answer["last_end"]["how"] == "signal KILL"
    assert 0 <= time.time() - answer["last_end"]["at"] < 60


def test_the_journal_keeps_what_was_said_field_by_field(seen: Site) -> None:
    entries = [json.loads(line) for line in seen.tool("logs", "own", "--json").stdout.splitlines()]
    (serving, *_) = [entry for entry in entries if entry["MESSAGE"].startswith("serving ")]

    assert (serving["DARLINGBUILDER_PORT"], serving["PRIORITY"]) == ("2222", "6")
    assert serving["SYSLOG_IDENTIFIER"] == "darlingbuilder"
    assert "Server listening on 127.0.0.1" not in seen.tool("logs", "own").stdout
    assert "Server listening on 127.0.0.1" in seen.tool("logs", "sshd").stdout
    assert "serving " not in seen.tool("logs", "sshd").stdout
    assert len(seen.tool("logs", "--lines", "2").stdout.splitlines()) == 2
    assert "serving " not in seen.tool("logs", "--priority", "err").stdout
    assert "serving " not in seen.tool("logs", "own", "--since", "+1h").stdout
    assert "--since soon: no point in time" in seen.tool("logs", "--since", "soon", check=False).stderr


def test_the_log_of_one_build_is_shown(seen: Site) -> None:
    seen.set(protocol="ssh-ng")
    seen.tool("init")
    expression = (
        'derivation { name = "wordy"; system = "x86_64-darwin"; builder = "/bin/sh"; '
        'args = [ "-c" "echo word by word; echo > $out" ]; }'
    )
    derivation = seen.machine.run("nix-instantiate", "--expr", expression).stdout.split()[0]
    seen.build(expression)

    assert "word by word" in seen.tool("logs", "--build", derivation).stdout


def test_a_timer_writes_metrics_for_node_exporter_and_is_withdrawn_with_its_setting(seen: Site) -> None:
    seen.machine.run("mkdir", "--parents", "/srv/metrics")
    seen.set(metrics_textfile=TEXTFILE)
    seen.tool("init")
    seen.machine.run("sh", "-c", f"until [ -e {TEXTFILE} ]; do sleep 0.2; done", timeout=30)
    counted = figures(seen.file(TEXTFILE).read_text())

    assert counted["darlingbuilder_converged", ""] == 1
    assert counted["darlingbuilder_unit_state", "active"] == 1
    assert seen.file(TEXTFILE).stat().st_mode & 0o777 == 0o644

    seen.set(metrics_textfile="")
    seen.tool("init")
    assert not seen.file(TEXTFILE).exists()
    assert "darling-builder-metrics" not in seen.machine.run("ls", "/etc/systemd/system").stdout
    assert seen.status()[0] == 0
