"""``status``: what there is, for people and for programs, and its exit code."""

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from darlingbuilder import cli
from darlingbuilder.commands import status
from darlingbuilder.commands.context import Context
from darlingbuilder.core import config, keypair, serving
from darlingbuilder.core.errors import ExitCode, UsageError
from darlingbuilder.core.paths import SSHD_CONFIG, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.plan import build
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen, seen, times
from tests.fakes.world import FakeWorld, beside
from tests.names import UNIT


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


@pytest.fixture
def made(world: FakeWorld) -> FakeWorld:
    return make(world)


def arguments(*words: str) -> Namespace:
    return cli.parser().parse_args(["status", *words])


def text(world: FakeWorld, capsys: pytest.CaptureFixture[str], **flags: str) -> tuple[ExitCode, list[str]]:
    code = status.run(called(world, chosen(**flags)), arguments())
    return code, capsys.readouterr().out.splitlines()


def view(world: FakeWorld, capsys: pytest.CaptureFixture[str], **flags: str) -> dict[str, object]:
    status.run(called(world, chosen(**flags)), arguments("--json"))
    printed: dict[str, object] = json.loads(capsys.readouterr().out)
    return printed


def test_a_builder_as_it_should_be_gives_0(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = text(made, capsys)

    assert code is ExitCode.OK
    labels = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert labels == [UNIT, "container", "sshd", "nix", "store", "slots", "client key", "host key", "last test"]
    assert lines[0].startswith(f"{UNIT}: active (running), since 0 s ago")
    assert lines[1] == "container: down; prefix /var/lib/darling-builder/guest/prefix"
    assert lines[3] == "nix: host 2.26.3, guest 2.31.2"
    assert re.fullmatch(r"store: .* of its own, 0 B shared with this machine; .* free", lines[4])
    assert lines[5] == "slots: 0 of 4 in use"
    assert [line for line in lines if line.startswith(" ")] == [
        f"  ok    {step.name}" for step in build(chosen(), made).steps
    ]


@pytest.mark.parametrize(("corrections", "shown"), [((), "none"), (("signals", "accept"), "accept, signals")])
def test_the_corrections_in_force_are_shown(
    made: FakeWorld, capsys: pytest.CaptureFixture[str], corrections: tuple[str, ...], shown: str
) -> None:
    made.systemd.tell(UNIT, serving.told(2222, corrections, shared_by=None))

    _, lines = text(made, capsys)
    assert lines[0].startswith(f"{UNIT}: active (running), since 0 s ago")
    assert lines[0].endswith(", serving on 127.0.0.1:2222")
    assert lines[1] == f"corrections in force: {shown}"
    assert view(made, capsys)["corrections"] == sorted(corrections)


@pytest.mark.parametrize("told", ["", "draining 1 connection(s) with builds, 5 s left"])
def test_one_that_does_not_serve_has_no_corrections(
    made: FakeWorld, capsys: pytest.CaptureFixture[str], told: str
) -> None:
    made.systemd.tell(UNIT, told)
    assert view(made, capsys)["corrections"] is None
    assert not any("corrections" in line for line in text(made, capsys)[1])


def test_one_that_is_down_has_no_corrections(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made.systemd.tell(UNIT, serving.told(2222, ["accept"], shared_by=None))
    made.systemd.stop(UNIT)
    assert view(made, capsys)["corrections"] is None


def test_every_difference_is_named_and_gives_3(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made.darling.files().remove(SSHD_CONFIG)
    made.systemd.stop(UNIT)

    code, lines = text(made, capsys)

    assert code is ExitCode.DRIFT
    assert f"  drift sshd: {SSHD_CONFIG}: absent" in lines
    assert f"  drift service: {UNIT}: is inactive (dead)" in lines


def test_of_one_that_is_down_it_is_said_when_it_was_started(
    made: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    made.systemd.tell(UNIT, "shutting the container down")
    made.systemd.stop(UNIT)
    assert text(made, capsys)[1][0].startswith(f"{UNIT}: inactive (dead), last started 0 s ago (")
    assert not any("shutting" in line for line in text(made, capsys)[1])


def test_without_a_builder_that_is_all_there_is_to_say(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = text(world, capsys)

    assert code is ExitCode.DRIFT
    assert lines[-1] == "  drift settings: /var/lib/darling-builder: holds no builder"
    assert lines[1] == "container: down; prefix /var/lib/darling-builder/guest/prefix"
    assert "nix: host 2.26.3, guest unknown" in lines


def test_a_setting_that_was_changed_since_is_pending(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = text(made, capsys, port="2022")

    assert code is ExitCode.DRIFT
    assert [line for line in lines if "drift" in line] == [
        "  drift settings: setting port: is 2222, should be 2022 (flag)"
    ]
    assert any(line.startswith("sshd: 127.0.0.1:2222, ") for line in lines)  # where it is until then


def test_the_flags_of_one_init_are_not_pending(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world, chosen(port="2022"))
    code, lines = text(world, capsys)
    assert code is ExitCode.OK
    assert lines[2].startswith("sshd: 127.0.0.1:2022, ")


def test_what_cannot_be_checked_is_shown_with_its_remedy(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made.systemd.reachable = False

    code, lines = text(made, capsys)

    assert code is ExitCode.DRIFT
    assert lines[0] == f"{UNIT}: unknown: systemd does not answer"
    where = lines.index("  error service: systemd does not answer")
    assert lines[where + 1].strip() == "is /run/dbus/system_bus_socket there?"
    assert "  ok    sshd" in lines


def test_a_program_gets_the_same_as_json(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made.darling.files().remove(SSHD_CONFIG)
    with made.host.real(Paths(Settings()).boot_log).open("ab") as log:
        made.darling.boot(log)

    printed = view(made, capsys)

    steps = printed.pop("steps")
    assert isinstance(steps, list)
    assert printed.pop("since") == made.systemd.unit(UNIT).since
    # What is of this very machine, whatever that is, and what has a test of its own.
    elsewhere = {"banner", "last_end", "store", "keys", "exposed", "clients"}
    assert printed.keys() >= elsewhere
    printed = {key: value for key, value in printed.items() if key not in elsewhere}
    assert printed == {
        "instance": "default",
        "unit": UNIT,
        "state": "active (running)",
        "message": "",
        "restarts": 0,
        "corrections": None,
        "breaker": None,
        "waiting": None,
        "result": "success",
        "container": made.darling.server(),
        "booted": None,
        "port": 2222,
        "prefix": "/var/lib/darling-builder/guest/prefix",
        "nix": {"host": "2.26.3", "guest": "2.31.2"},
        "slots": {"used": 0, "max": 4},
        "builds": [],
        "tested": None,
        "converged": False,
        "notes": [],
        "errors": [],
    }
    assert {"step": "user", "drift": [], "error": None, "hint": None} in steps
    assert [one["drift"] for one in steps if one["step"] == "sshd"] == [
        [{"what": str(SSHD_CONFIG), "detail": "absent"}]
    ]


def test_a_program_gets_the_keys_fingerprints(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    keys = view(made, capsys)["keys"]
    assert isinstance(keys, list)
    assert [key["name"] for key in keys] == ["client", "host"]
    assert all(key["fingerprint"].startswith("SHA256:") for key in keys)


def test_who_else_may_come_and_where_is_shown(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made = make(world, chosen(listen="192.0.2.7,::1"))
    clients = Clients(chosen(listen="192.0.2.7,::1").settings, made.host)
    clients.add("laptop", keypair.public_of(keypair.generate("me@laptop")))
    made.host.write(Paths(Settings()).clients / "spoilt.pub", b"no key")

    assert "open to others: 192.0.2.7:2222" in (lines := text(made, capsys)[1])
    assert "clients: laptop, spoilt (not let in)" in lines
    seen = view(made, capsys)
    assert seen["exposed"] == ["192.0.2.7:2222"]
    assert seen["clients"] == [{"name": "laptop", "usable": True}, {"name": "spoilt", "usable": False}]


def test_a_program_gets_the_bytes_of_the_store(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    store = view(made, capsys)["store"]
    assert isinstance(store, dict)
    assert (store["shared"], store["own"] > 0, store["free"] > 0) == (0, True, True)


def test_a_program_gets_errors_with_their_hints(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made.systemd.reachable = False

    printed = view(made, capsys)

    steps = printed["steps"]
    assert isinstance(steps, list)
    assert (printed["state"], printed["since"]) == ("unknown: systemd does not answer", None)
    assert {one["step"]: one["error"] for one in steps if one["error"]}.keys() == {"units", "service"}
    assert all(one["hint"] for one in steps if one["error"])


@pytest.mark.parametrize("as_json", [False, True])
def test_it_changes_nothing(made: FakeWorld, capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    before = seen(made.host.root), times(made.host.root)
    status.run(called(made), arguments(*["--json"][: int(as_json)]))
    assert (seen(made.host.root), times(made.host.root)) == before
    assert capsys.readouterr().err == ""


def test_that_builds_are_off_is_a_remark(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world, chosen(store="symlink"))

    code, lines = text(world, capsys, store="symlink")

    assert code is ExitCode.OK
    assert any(line.startswith('  note  builds: store = "symlink"') for line in lines)


@pytest.fixture
def several(made: FakeWorld) -> Context:
    """Give the context of a call on a machine with two builders."""
    second = chosen(instance="second")
    make(beside(made, second.settings), second)
    return replace(called(made), worlds=lambda settings: beside(made, settings))


def test_every_builder_is_a_row(several: Context, capsys: pytest.CaptureFixture[str]) -> None:
    code = status.run(several, arguments("--all"))

    header, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header == ["BUILDER", "STATE", "CONTAINER", "PORT", "SLOTS", "SETTINGS"]
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("default", "active", "2222"),
        ("second", "active", "30770"),
    ]
    assert code is ExitCode.OK


def test_the_worst_of_all_is_the_exit_code(several: Context, capsys: pytest.CaptureFixture[str]) -> None:
    second = chosen(instance="second").settings
    several.world.host.remove(second.names.ssh_alias)
    assert status.run(several, arguments("--all")) is ExitCode.DRIFT
    assert "see: darlingbuilder --instance second status" in capsys.readouterr().out

    several.world.host.write(Paths(second).marker, b"{")
    assert status.run(several, arguments("--all")) is ExitCode.FAILED
    assert "is not a marker of darlingbuilder" in capsys.readouterr().out


def test_one_whose_settings_have_a_mistake_is_looked_at_all_the_same(
    made: FakeWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    file = tmp_path / "second.toml"
    file.write_text('instance = "second"\n')
    second = config.load(file=file, environment={}, flags={})
    make(beside(made, second.settings), second)
    file.write_text('instance = "second"\nport = many\n')
    several = replace(called(made), worlds=lambda settings: beside(made, settings))
    # when
    code = status.run(several, arguments("--all", "--json"))
    # then
    _, row = json.loads(capsys.readouterr().out)
    found = {step["step"]: step["error"] for step in row["overview"]["steps"] if step["error"] or step["drift"]}
    assert code is ExitCode.DRIFT
    assert found.keys() == {"settings"}
    assert "second.toml: not TOML" in found["settings"]


def test_a_program_gets_all_builders_by_a_schema(several: Context, capsys: pytest.CaptureFixture[str]) -> None:
    status.run(several, arguments("--all", "--schema"))
    schema = json.loads(capsys.readouterr().out)
    several.world.host.write(Paths(chosen(instance="second").settings).marker, b"{")
    status.run(several, arguments("--all", "--json"))
    answer = json.loads(capsys.readouterr().out)

    jsonschema.Draft202012Validator(schema).validate(answer)
    assert [(one["instance"], one["code"], one["overview"] is None) for one in answer] == [
        ("default", 0, False),
        ("second", 1, True),
    ]


def test_without_any_builder_there_is_a_row_that_says_so(
    world: FakeWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    context = replace(called(world), worlds=lambda settings: beside(world, settings))
    assert status.run(context, arguments("--all")) is ExitCode.DRIFT
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "default"


def test_all_builders_are_not_watched(several: Context) -> None:
    with pytest.raises(UsageError, match="one look"):
        status.run(several, arguments("--all", "--watch"))
