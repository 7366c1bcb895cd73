"""Several builders on one host: both build at once, neither disturbs the other, and each goes by itself."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from integration.machine.tree import Tree, differences, touched
from integration.suite.site import STATE, Site
from integration.suite.test_lifecycle import ours

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")

NAME = "second"
OURS = re.compile(r"/darling-?builder[-@]second[./-]")
# Long enough for four to be under way at the same time.
SEVERAL = """
  let one = number: derivation {
    name = "several-%s-${toString number}"; system = "x86_64-darwin"; builder = "/bin/sh";
    args = [ "-c" "/bin/sleep 2; echo done > $out" ]; };
  in map one [ 1 2 3 4 ]
"""
# Only a builder with that feature is asked.
LONG = """
  derivation { name = "long-%s"; system = "x86_64-darwin"; builder = "/bin/sh"; requiredSystemFeatures = [ "%s" ];
    args = [ "-c" "/bin/sleep %s; echo done > $out" ]; }
"""
UNDER_WAY = "for n in $(seq 300); do pgrep -f 'sleep %s$' > /dev/null && exit; sleep 0.1; done; exit 1"


@dataclass(frozen=True, slots=True)
class Both:
    """The two builders of a machine: the one without a name, and the second, over the host's store."""

    first: Site
    second: Site

    def healthy(self) -> None:
        for builder in (self.first, self.second):
            builder.assert_healthy()


@pytest.fixture(scope="module")
def both(site: Site) -> Both:
    """Two builders of one machine, each with two slots and a feature of its own."""
    second = replace(site, instance=NAME, settings={})
    site.configure(max_jobs=2, grace=60, supported_features=["first"])
    second.configure(max_jobs=2, grace=60, supported_features=[NAME], store="overlay", limits__nice=5)
    site.tool("init")
    second.tool("init")
    return Both(site, second)


@contextmanager
def building(builder: Site, name: str, feature: str, *, seconds: int = 12) -> Iterator[None]:
    """Have something long built on the builder with ``feature`` meanwhile, and see that it ends well."""
    running = builder.machine.popen(
        "nix-build", "--no-out-link", "--max-jobs", "0", "--expr", LONG % (name, feature, seconds),
        env={"NIX_REMOTE": "daemon"},
    )  # fmt: skip
    # A connection is the sign that the build has reached its builder.
    builder.machine.run("sh", "-c", UNDER_WAY % seconds)
    yield
    _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said.decode()


def pid(builder: Site) -> str:
    """Give the main process of the builder's unit."""
    return builder.machine.run("systemctl", "show", "--property=MainPID", "--value", builder.unit).stdout.strip()


def at_rest(builder: Site) -> Tree:
    """Give what is the builders' on the disk, but for the guests' stores, where the last builds are tidied up."""
    return {path: entry for path, entry in ours(builder.machine.tree()).items() if "/nix/" not in path}


def everybody(builder: Site) -> dict[str, int]:
    """Give the builders of the machine as «status --all» lists them, each with its exit code."""
    seen = json.loads(builder.tool("status", "--all", "--json", check=False).stdout)
    return {one["instance"]: one["code"] for one in seen}


def test_each_has_a_unit_a_port_a_user_and_a_prefix_of_its_own(both: Both) -> None:
    both.healthy()
    first, second = (builder.status()[1] for builder in (both.first, both.second))
    assert (first["unit"], second["unit"]) == ("darling-builder.service", "darling-builder@second.service")
    for key in ("port", "prefix", "container"):
        assert first[key] != second[key]
    owners = {
        both.first.machine.run("stat", "--format=%U", view["prefix"]).stdout.strip() for view in (first, second)
    }
    assert owners == {"darlingbuilder", "darlingbuilder-second"}


def test_all_are_seen_at_one_look(both: Both) -> None:
    answer = both.first.tool("status", "--all")

    assert [line.split()[0] for line in answer.stdout.splitlines()] == ["BUILDER", "default", NAME]
    assert everybody(both.first) == everybody(both.second) == {"default": 0, NAME: 0}
    top = json.loads(both.first.tool("top", "--once", "--json").stdout)
    assert [(one["ours"], one["answer"]["reachable"]) for one in top["builders"]] == [(True, True)] * 2


def test_one_build_of_four_derivations_is_done_by_both_at_once(both: Both) -> None:
    built = both.first.build(SEVERAL % "four")

    assert len(built.stdout.split()) == 4
    where = re.findall(r"on 'ssh-ng://(\S+)'", built.stderr)
    assert sorted(where) == ["darling-builder"] * 2 + ["darling-builder-second"] * 2


def test_a_second_init_of_either_changes_nothing_of_the_other(both: Both) -> None:
    before = at_rest(both.first)

    for builder in (both.first, both.second):
        assert "nothing was changed" in builder.tool("init").stdout

    after = at_rest(both.first)
    assert (differences(before, after), touched(before, after)) == ([], [])


def test_a_builder_that_is_killed_changed_or_stopped_does_not_disturb_the_build_of_the_other(both: Both) -> None:
    before = pid(both.second)
    with building(both.second, "undisturbed", NAME):
        both.first.machine.run("kill", "-KILL", pid(both.first))
        both.first.tool("start")
        both.first.tool("reset", "--yes")
        both.first.tool("restart", "--now")
    assert pid(both.second) == before
    both.healthy()


def test_keys_of_one_are_rotated_while_the_other_builds(both: Both) -> None:
    key = both.second.file("/etc/nix/darling-builder-second-key").read_bytes()
    with building(both.second, "rotated", NAME, seconds=20):
        both.first.tool("keys", "rotate")
    assert both.second.file("/etc/nix/darling-builder-second-key").read_bytes() == key
    both.healthy()


def test_one_that_is_out_of_service_leaves_the_other_in_it(both: Both) -> None:
    for _ in range(3):
        both.first.tool("breaker", "ended", env={"SERVICE_RESULT": "exit-code"})
    try:
        assert "out-of-service" in both.first.file("/etc/nix/darling-builder.machines").read_text()
        built = both.first.build(LONG % ("other", NAME, 0))
        assert "on 'ssh-ng://darling-builder-second'" in built.stderr
        both.second.assert_healthy()
    finally:
        both.first.tool("breaker", "serves")
    both.healthy()


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--port=2222", "port = 2222 is that of the builder 'default'"),
        ("--user=darlingbuilder", "user: darlingbuilder is whom the builder 'default' runs as"),
        (f"--state={STATE}/third", "are not apart"),
        ("--key=/etc/nix/darling-builder-key", "key: /etc/nix/darling-builder-key is in the hands"),
    ],
)
def test_what_another_has_is_refused_with_a_remedy(both: Both, flag: str, said: str) -> None:
    before = ours(both.first.machine.tree())
    third = replace(both.first, instance="third", settings={})

    refused = third.tool("init", flag, check=False)

    assert refused.rc == 4
    assert said in refused.stderr
    assert differences(before, ours(both.first.machine.tree())) == []


def test_both_are_there_after_a_reboot(both: Both) -> None:
    both.first.machine.reboot()
    both.healthy()


def test_one_may_wait_for_a_connection_while_the_other_serves(both: Both) -> None:
    both.second.set(on_demand=True, idle_timeout=5).tool("init")
    both.second.tool("stop")
    both.second.tool("init")
    assert both.second.status()[1]["waiting"]

    built = both.first.build(LONG % ("woken", NAME, 0))

    assert "on 'ssh-ng://darling-builder-second'" in built.stderr
    both.healthy()
    both.second.set(on_demand=False).tool("init")
    both.healthy()


def test_both_may_wait_and_a_build_wakes_the_one_that_it_is_for(both: Both) -> None:
    for builder in (both.first, both.second):
        builder.set(on_demand=True, idle_timeout=5).tool("init")
        builder.tool("stop")
        builder.tool("init")
    assert waiting(both) == [True, True]

    built = both.first.build(LONG % ("woken-alone", NAME, 0))

    assert "on 'ssh-ng://darling-builder-second'" in built.stderr
    assert waiting(both) == [True, False]
    assert both.first.build(LONG % ("woken-next", "first", 0)).rc == 0
    both.healthy()
    for builder in (both.first, both.second):
        builder.set(on_demand=False).tool("init")
    both.healthy()


def waiting(both: Both) -> list[bool]:
    """Tell of the first and the second whether it is down until somebody connects."""
    return [builder.status()[1]["waiting"] for builder in (both.first, both.second)]


def test_the_first_goes_and_the_second_stays(both: Both, pristine: Tree) -> None:
    both.first.tool("uninstall", "--purge")

    both.second.assert_healthy()
    left = {line.split()[1] for line in differences(ours(pristine), ours(both.first.machine.tree()))}
    assert {path for path in left if not OURS.search(f"{path}/")} <= {
        "/etc/nix/machines", "/etc/nix/nix.conf", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow",
        "/etc/subuid", "/etc/subgid", "/etc/sysusers.d",
    }  # fmt: skip
    assert "darling-builder.machines" not in both.first.file("/etc/nix/machines").read_text()


def test_the_second_goes_and_the_first_stays(both: Both) -> None:
    both.first.tool("init")
    both.healthy()

    both.second.tool("uninstall", "--purge")

    both.first.assert_healthy()
    assert "darling-builder-second" not in both.first.file("/etc/nix/machines").read_text()
    both.second.file(both.second.config).unlink()
    assert everybody(both.first) == {"default": 0}


def test_without_both_the_machine_is_as_it_was(both: Both, pristine: Tree) -> None:
    both.first.tool("uninstall", "--purge")

    assert differences(ours(pristine), ours(both.first.machine.tree())) == []
    assert not [name for name in both.first.file("/nix/var/nix/gcroots").iterdir() if "darling" in name.name]
    assert not [name for name in both.first.file("/nix/var/nix/current-load").iterdir() if "darling" in name.name]
