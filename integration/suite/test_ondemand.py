"""A builder on demand: down until somebody connects, down again when nothing needs it, and no build lost."""

import json
import sys
import time
from collections.abc import Callable

import pytest

from integration.machine.tree import Tree, differences
from integration.suite.sharing import assert_clean, make, open_daemon
from integration.suite.sharing import build as build_with
from integration.suite.site import STATE, UNIT, USER, Site
from integration.suite.stream import stream

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")

SOCKET, PROXY = "darling-builder.socket", "darling-builder-proxy.service"
IDLE = 2
UNTIL_IT_RESTS = IDLE + 2
PLAIN = """
  derivation { name = "on-demand-%s"; system = "x86_64-darwin"; builder = "/bin/sh";
    args = [ "-c" "echo done > $out" ]; }
"""
SLOW = """
  derivation { name = "slow-on-demand"; system = "x86_64-darwin"; builder = "/bin/sh";
    args = [ "-c" "/bin/sleep %s; echo done > $out" ]; }
"""


@pytest.fixture(scope="module")
def builder(site: Site) -> Site:
    """A machine whose builder waits for a connection."""
    site.configure(on_demand=True, idle_timeout=IDLE)
    site.tool("init")
    return site


def say(figure: str) -> None:
    """Have pytest show ``figure`` with -rP: it is what the builder is judged by."""
    sys.stdout.write(f"{figure}\n")


def activity(site: Site, unit: str = UNIT) -> str:
    return site.machine.run("systemctl", "is-active", unit, check=False).stdout.strip()


def eventually(holds: Callable[[], bool], *, seconds: float) -> float:
    """Wait until ``holds``, and give how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it does not come to that"
        time.sleep(0.05)
    return time.monotonic() - began


def rests(site: Site) -> bool:
    return activity(site) == "inactive" and activity(site, PROXY) == "inactive"


def built(site: Site, name: str, expression: str = PLAIN) -> float:
    """Build something that was never built before, and give how long that took."""
    began = time.monotonic()
    completed = site.build(expression % name, check=False)
    assert completed.rc == 0, completed.stderr + site.machine.journal(UNIT)
    return time.monotonic() - began


def test_after_init_nothing_runs_and_that_is_as_it_should_be(builder: Site) -> None:
    code, answer = builder.status()

    assert (code, answer["converged"], answer["waiting"]) == (0, True, True)
    assert (answer["state"], answer["container"]) == ("inactive (dead)", None)
    assert "127.0.0.1:2222, waiting for a connection" in builder.tool("status").stdout
    assert "nothing was changed" in builder.tool("init").stdout
    assert builder.machine.run("systemctl", "is-enabled", UNIT, SOCKET, check=False).stdout.split() == [
        "static",
        "enabled",
    ]


def test_nobody_who_only_looks_wakes_it(builder: Site) -> None:
    for words in (("status",), ("metrics",), ("top", "--once"), ("doctor",)):
        builder.tool(*words, check=False)
    [ours] = json.loads(builder.tool("top", "--once", "--json").stdout)["builders"]

    assert rests(builder)
    assert (ours["answer"], ours["why_not"]) == (None, "it is down, and starts with the first build")


def test_the_first_build_starts_it_and_it_rests_again(builder: Site) -> None:
    took = built(builder, "first")
    running = builder.status()[1]
    rested = eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)

    say(f"cold build: {took:.1f} s; at rest again after {rested:.1f} s")
    assert took < 30
    assert (running["state"], running["converged"], running["waiting"]) == ("active (running)", True, False)
    assert rested > IDLE - 1
    assert builder.status()[1]["result"] == "success"
    assert builder.machine.run("pgrep", "-u", USER, check=False).stdout == ""
    built(builder, "second")


def test_those_who_look_do_not_keep_it_up(builder: Site) -> None:
    built(builder, "looked-at")

    def look() -> bool:
        for words in (("status",), ("metrics",), ("top", "--once")):
            builder.tool(*words, check=False)
        return rests(builder)

    eventually(look, seconds=UNTIL_IT_RESTS + 15)


def test_no_build_that_comes_as_it_goes_to_rest_is_lost(builder: Site) -> None:
    built(builder, "measured")
    moment = eventually(lambda: activity(builder, PROXY) != "active", seconds=UNTIL_IT_RESTS + 5)
    rounds = 20 if "trixie" in builder.file("/etc/os-release").read_text() else 8
    seen, took = [], []

    for number in range(rounds):
        time.sleep(moment - 0.4 + number * 1.0 / rounds)
        seen.append(f"{activity(builder, PROXY)}/{activity(builder)}")
        took.append(built(builder, f"round-{number}"))

    say(f"{rounds} rounds, met as proxy/builder: {sorted(set(seen))}; longest build {max(took):.1f} s")
    assert len(set(seen)) > 1, "they all came at the same moment"


def test_a_long_build_keeps_it_up(builder: Site) -> None:
    assert built(builder, str(UNTIL_IT_RESTS + IDLE), SLOW) > UNTIL_IT_RESTS + IDLE


def test_a_shell_in_the_guest_keeps_it_up_without_a_connection(builder: Site) -> None:
    builder.tool("start")
    shell = builder.machine.popen("darlingbuilder", "shell", "sleep", str(UNTIL_IT_RESTS + 4))
    container = builder.status()[1]["container"]
    shell.communicate(timeout=60)

    assert shell.returncode == 0
    assert builder.status()[1]["container"] == container
    assert "the builder stays up" in builder.machine.journal(PROXY)
    eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)


@pytest.mark.parametrize("victim", ["serve", "proxy"])
def test_killed_while_connected_it_is_there_for_the_next_build(builder: Site, victim: str) -> None:
    built(builder, f"before-{victim}")
    unit = UNIT if victim == "serve" else PROXY
    builder.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)

    # One that comes before systemd has noticed fails with it, as those that run do.
    took = eventually(lambda: builder.build(PLAIN % f"after-{victim}", check=False).rc == 0, seconds=15)

    say(f"{victim} killed: next build succeeds after {took:.1f} s")


def test_stopped_not_even_a_connection_starts_it(builder: Site) -> None:
    builder.tool("stop")
    refused = builder.build(PLAIN % "refused", check=False)

    assert refused.rc != 0
    assert rests(builder)
    assert builder.status()[0] == 3
    assert f"{SOCKET}: is inactive" in builder.drift()
    builder.tool("init")
    assert rests(builder)
    built(builder, "after-stop")
    builder.tool("stop")
    builder.tool("start")
    assert builder.status()[1]["banner"]


def test_a_broken_one_is_named_at_once_and_a_mended_one_is_used_without_a_command(builder: Site) -> None:
    builder.tool("restart")
    eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)
    builder.machine.run("chmod", "u-s", builder.launcher)
    try:
        began = time.monotonic()
        failed = builder.build(PLAIN % "broken", check=False)
        took = time.monotonic() - began
    finally:
        builder.machine.run("chmod", "u+s", builder.launcher)

    say(f"a broken builder: told after {took:.1f} s")
    assert failed.rc != 0
    assert "ssh-ng://darling-builder" in failed.stderr
    assert took < 10

    mended = eventually(lambda: builder.build(PLAIN % "mended", check=False).rc == 0, seconds=30)
    say(f"mended: a build succeeds after {mended:.1f} s")


def test_a_change_of_what_it_reads_takes_effect_with_the_next_build(builder: Site) -> None:
    built(builder, "before-change")
    before = builder.status()[1]["container"]
    builder.set(private_port=2224)
    builder.tool("init")

    built(builder, "changed")

    assert builder.status()[1]["container"] not in {None, before}
    assert "127.0.0.1:2224" in builder.machine.run("ss", "-Hltn").stdout
    builder.set(private_port=2223)
    builder.tool("init")


def test_its_keys_are_replaced_at_rest_and_while_it_builds(builder: Site) -> None:
    eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)
    keys = [builder.tool("keys", "show", "--json").stdout]

    builder.tool("keys", "rotate")

    # A look at the builder as it is, and one at it with its new keys, are connections as any other.
    eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)
    keys.append(builder.tool("keys", "show", "--json").stdout)
    with stream(builder, "on-demand", parts=2):
        builder.tool("keys", "rotate", timeout=300)
    keys.append(builder.tool("keys", "show", "--json").stdout)
    shown = [{key["fingerprint"] for key in json.loads(one)} for one in keys]
    assert not shown[0] & shown[1]
    assert not shown[1] & shown[2]
    eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)
    assert builder.status()[1]["converged"]
    built(builder, "after-rotation")


@pytest.mark.parametrize("way", ["registration", "local-overlay"])
def test_it_shares_the_host_s_store_after_each_rest(builder: Site, way: str) -> None:
    # given
    open_daemon(builder)
    builder.set(store="overlay", store_validity=way)
    builder.tool("init")
    eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)
    # when: each build starts it, with an input that was made while it was at rest, and with what it built before
    needed = make(builder, f"needed-{way}", "needed")
    for number in range(2):
        path = make(builder, f"input-{way}-{number}", "input", needed)
        output, told = build_with(builder, f"of-{way}-{number}", path)
        # then
        assert "copying 0 paths" in told
        assert builder.machine.run("cat", f"{output}/text").stdout == f"input {needed}\n{path}\n"
        eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)
        needed = output
    builder.tool("start")
    assert f"shared by {way}" in builder.status()[1]["message"]
    assert_clean(builder)
    builder.set(store="copy")
    builder.tool("init")
    built(builder, f"after-{way}")


def test_it_is_switched_off_and_on_again(builder: Site) -> None:
    built(builder, "before-switch")
    build = builder.machine.popen(
        "nix-build", "--no-out-link", "--max-jobs", "0", "--expr", SLOW % "5.5", env={"NIX_REMOTE": "daemon"}
    )
    builder.machine.run("sh", "-c", f"until pgrep -u {USER} -f 'sleep 5.5' > /dev/null; do sleep 0.1; done")
    builder.set(on_demand=False)
    builder.tool("init")
    _, err = build.communicate(timeout=60)

    assert build.returncode == 0, err.decode()
    builder.assert_healthy()
    assert builder.machine.run("systemctl", "is-enabled", UNIT).stdout.strip() == "enabled"
    assert not builder.file(f"/etc/systemd/system/{SOCKET}").exists()
    assert not builder.file(f"/etc/systemd/system/{PROXY}").exists()

    builder.set(on_demand=True)
    builder.tool("init")
    assert rests(builder)
    builder.assert_healthy()
    eventually(lambda: rests(builder), seconds=UNTIL_IT_RESTS + 5)


def test_uninstall_leaves_nothing(builder: Site, pristine: Tree) -> None:
    built(builder, "last")
    builder.tool("uninstall", "--purge")

    left = [line.split()[1] for line in differences(pristine, builder.machine.tree()) if "darling" in line]
    # What was built is the host's, its log too, and so are its settings.
    kept = ("/nix/store/", "/nix/var/log/", "/etc/darlingbuilder")
    assert [path for path in left if not path.startswith(kept)] == []
    assert [path for path in left if path.startswith("/etc/systemd/")] == []
    assert not builder.file(STATE).exists()
    assert ":2222" not in builder.machine.run("ss", "-Hltn").stdout
    assert builder.machine.run("systemctl", "list-units", "--all", "--no-legend", "darling-builder*").stdout == ""
