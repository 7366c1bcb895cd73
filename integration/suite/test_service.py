"""The service: it stops at once when idle, lets builds end, comes back when it dies, and leaves nothing."""

import json
import sys
import time

import pytest

from integration.suite.site import PREFIX, UNIT, USER, Site

pytestmark = pytest.mark.alone

SLOW = """
  derivation { name = "slow"; system = "x86_64-darwin"; builder = "/bin/sh"; nonce = "%s";
    args = [ "-c" "/bin/sleep 6; echo done > $out" ]; }
"""
BUILD = ("nix-build", "--no-out-link", "--max-jobs", "0", "--expr")
DAEMON = {"NIX_REMOTE": "daemon"}
UNTIL_IT_SLEEPS = f"until pgrep -u {USER} -f 'sleep [69]' > /dev/null; do sleep 0.1; done"
UNTIL_RESTARTED = (
    f"until [ $(systemctl show -P NRestarts {UNIT}) -gt {{before}} ] && systemctl -q is-active {UNIT}; "
    "do sleep 0.05; done"
)


def told(**figures: float) -> None:
    """Print what was measured; pytest shows it with -s or -rP."""
    sys.stdout.write("".join(f"  {what}: {figure:.2f}\n" for what, figure in figures.items()))


def test_an_idle_builder_stops_in_less_than_two_seconds(builder: Site) -> None:
    builder.tool("test", "--no-build")
    began = time.monotonic()
    builder.machine.run("systemctl", "stop", UNIT)
    took = time.monotonic() - began

    assert took < 2
    assert builder.machine.run("systemctl", "show", "--property=Result", UNIT).stdout.strip() == "Result=success"
    assert not builder.file(f"{PREFIX}/.init.pid").exists()
    assert builder.machine.run("pgrep", "-u", USER, check=False).stdout == ""
    builder.tool("start")


def test_a_running_build_ends_before_the_builder_stops(builder: Site) -> None:
    build = builder.machine.popen(*BUILD, SLOW % "drain", env=DAEMON)
    builder.machine.run("sh", "-c", UNTIL_IT_SLEEPS, timeout=60)
    builder.tool("stop")
    out, err = build.communicate(timeout=60)

    assert build.returncode == 0, err.decode()
    assert builder.machine.run("cat", out.decode().strip()).stdout == "done\n"
    builder.tool("start")


def test_a_builder_that_drains_takes_no_further_build(builder: Site) -> None:
    first = builder.machine.popen(*BUILD, SLOW % "first", env=DAEMON)
    builder.machine.run("sh", "-c", UNTIL_IT_SLEEPS, timeout=60)
    stop = builder.machine.popen("darlingbuilder", "stop")
    builder.machine.run("sh", "-c", f"until systemctl show {UNIT} | grep -q StatusText=drain; do sleep 0.05; done")

    began = time.monotonic()
    second = builder.machine.run(*BUILD, SLOW % "second", env=DAEMON, check=False)
    took = time.monotonic() - began

    assert second.rc != 0
    assert took < 4
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, err.decode()
    assert builder.machine.run("cat", out.decode().strip()).stdout == "done\n"
    stop.communicate(timeout=60)
    assert stop.returncode == 0
    builder.tool("start")


def test_a_stop_at_once_waits_for_no_build(builder: Site) -> None:
    build = builder.machine.popen(*BUILD, SLOW.replace("sleep 6", "sleep 60") % "now", env=DAEMON)
    builder.machine.run("sh", "-c", UNTIL_IT_SLEEPS, timeout=60)

    began = time.monotonic()
    builder.tool("stop", "--now")
    took = time.monotonic() - began

    assert took < 4
    build.communicate(timeout=20)
    assert build.returncode != 0
    builder.tool("start")


def test_a_second_stop_at_once_ends_the_drain_of_the_first(builder: Site) -> None:
    build = builder.machine.popen(*BUILD, SLOW.replace("sleep 6", "sleep 60") % "second", env=DAEMON)
    builder.machine.run("sh", "-c", UNTIL_IT_SLEEPS, timeout=60)
    first = builder.machine.popen("darlingbuilder", "stop")
    builder.machine.run("sh", "-c", f"until systemctl show {UNIT} | grep -q StatusText=drain; do sleep 0.05; done")

    began = time.monotonic()
    builder.tool("stop", "--now")
    first.communicate(timeout=20)

    assert time.monotonic() - began < 5
    assert first.returncode == 0
    build.communicate(timeout=20)
    assert build.returncode != 0
    builder.tool("start")
    builder.tool("restart", "--now")
    builder.assert_healthy(build=False)


def test_of_twenty_stops_under_load_none_loses_a_build(builder: Site) -> None:
    fates = [fate for number in range(20) for fate in stopped_under_load(builder, number)]

    told(**{fate: float(fates.count(fate)) for fate in sorted(set(fates))})
    # What is sent while it stops is refused at once, by name; what has begun ends well.
    assert set(fates) <= {"built", "refused"}, fates
    assert fates.count("built") >= 20
    builder.assert_healthy(build=False)


def stopped_under_load(builder: Site, number: int) -> list[str]:
    """Stop and start the builder while builds come in, at another moment each time; says what became of each."""
    short = SLOW.replace("sleep 6", "sleep 0.5")
    pause = 0.05 * number
    builds = []
    for name in ("a", "b", "c", "d"):
        builds.append(builder.machine.popen(*BUILD, short % f"{number}-{name}", env=DAEMON))
        time.sleep(0.1)
    time.sleep(pause)
    builder.tool("stop")
    fates = [fate_of(build.communicate(timeout=60)[1].decode(), build.returncode) for build in builds]
    builder.tool("start")
    return fates


def fate_of(said: str, code: int) -> str:
    if code == 0:
        return "built"
    return "refused" if "failed to start SSH connection" in said else said


@pytest.mark.parametrize("victim", ["sshd", "server", "serve"])
def test_a_killed_part_is_back_in_five_seconds_and_builds(builder: Site, victim: str) -> None:
    before = builder.status()[1]
    pid = {
        "sshd": "$(ss -Hltnp 'sport = :2222' | sed 's/.*pid=\\([0-9]*\\).*/\\1/')",
        "server": f"$(cat {PREFIX}/.init.pid)",
        "serve": f"$(systemctl show --property=MainPID --value {UNIT})",
    }[victim]
    builder.machine.run("sh", "-c", f"kill -KILL {pid}")
    began = time.monotonic()

    builder.machine.run("sh", "-c", UNTIL_RESTARTED.format(before=before["restarts"]), timeout=30)

    took = time.monotonic() - began
    told(**{victim: took})
    assert builder.build(SLOW.replace("sleep 6", "true") % f"after-{victim}").rc == 0
    assert took < 5
    builder.assert_healthy(build=False)


def test_a_stopped_daemon_of_the_host_s_is_no_matter(builder: Site) -> None:
    builder.machine.run("systemctl", "stop", "nix-daemon.service")
    assert builder.build(SLOW.replace("/bin/sleep 6", ":") % "daemon").rc == 0


def test_where_the_machine_goes_down_builds_get_no_more_than_systemd_gives(builder: Site) -> None:
    # given: a systemd that gives units 17 s; of these, 15 are for the container's shutdown
    path = "/etc/systemd/system.conf.d/short.conf"
    conf = builder.file(path)
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text("[Manager]\nDefaultTimeoutStopSec=17s\n")
    builder.machine.run("systemctl", "daemon-reload")
    build = builder.machine.popen(*BUILD, SLOW.replace("sleep 6", "sleep 90") % "down", env=DAEMON)
    builder.machine.run("sh", "-c", UNTIL_IT_SLEEPS, timeout=60)
    # when
    began = time.monotonic()
    builder.machine.shut_down(timeout=60)
    took = time.monotonic() - began
    # then
    build.kill()
    build.communicate()
    told(shutdown=took)
    builder.machine.boot()
    builder.file(path).unlink()
    builder.machine.run("systemctl", "daemon-reload")
    assert took < 17
    builder.assert_healthy(build=False)


def test_the_guest_is_unprivileged_throughout(builder: Site) -> None:
    server = builder.file(f"{PREFIX}/.init.pid").read_text().strip()
    children = builder.machine.run("ps", "-o", "user:20=", "--ppid", server).stdout.split()
    assert set(children) == {USER}
    assert builder.tool("shell", "id", "-u").stdout.strip() != "0"


def test_a_failed_start_shows_the_journals_last_lines(builder: Site) -> None:
    builder.tool("stop")
    builder.machine.run("chmod", "u-s", builder.launcher)
    failed = builder.tool("start", check=False)
    builder.machine.run("chmod", "u+s", builder.launcher)

    assert failed.rc == 1
    assert "journalctl -u" in failed.stderr
    assert "darling" in failed.stderr
    builder.tool("init")
    builder.assert_healthy(build=False)


def test_status_answers_without_a_bus(builder: Site) -> None:
    blind = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"}
    completed = builder.tool("status", "--json", check=False, env=blind)
    assert completed.rc == 3
    errors = [step["error"] for step in json.loads(completed.stdout)["steps"] if step["error"]]
    assert any("D-Bus" in error for error in errors)


def test_logs_show_what_sshd_says(builder: Site) -> None:
    assert "Server listening on 127.0.0.1" in builder.tool("logs").stdout


def test_a_drop_in_that_raises_the_limit_of_open_files_is_remarked_on_and_left_alone(builder: Site) -> None:
    drop_in = builder.file(f"/etc/systemd/system/{UNIT}.d/limits.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nLimitNOFILE=20000\n")
    builder.machine.run("systemctl", "daemon-reload")
    remark = f"/etc/systemd/system/{UNIT}.d/limits.conf gives a soft limit of 20000 of open files, «nofile» is 256"

    code, answer = builder.status()
    initialised = builder.tool("init")

    assert (code, answer["converged"]) == (0, True)
    (note,) = answer["notes"]
    assert remark in note["detail"]
    assert f"warning: {UNIT}" in initialised.stderr
    assert remark in initialised.stderr
    assert "daemon-reload" in initialised.stderr
    assert "nothing was changed" in initialised.stdout
    assert "  note  " in builder.tool("status").stdout

    drop_in.unlink()
    drop_in.parent.rmdir()
    builder.machine.run("systemctl", "daemon-reload")
    assert builder.status()[1]["notes"] == []
    assert "warning" not in builder.tool("init").stderr
