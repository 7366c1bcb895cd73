"""``status``: what there is, for people and for programs, and its exit code."""

import json
import re
from argparse import Namespace
from collections.abc import Iterator

import pytest

from darlingbuilder.commands import status
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.paths import SSHD_CONFIG, UNIT, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.plan import build
from tests.commands.builder import called, machine, make
from tests.fakes.furnished import chosen, seen, times
from tests.fakes.world import FakeWorld


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


@pytest.fixture
def made(world: FakeWorld) -> FakeWorld:
    return make(world)


def text(world: FakeWorld, capsys: pytest.CaptureFixture[str], **flags: str) -> tuple[ExitCode, list[str]]:
    code = status.run(called(world, chosen(**flags)), Namespace(json=False))
    return code, capsys.readouterr().out.splitlines()


def view(world: FakeWorld, capsys: pytest.CaptureFixture[str], **flags: str) -> dict[str, object]:
    status.run(called(world, chosen(**flags)), Namespace(json=True))
    printed: dict[str, object] = json.loads(capsys.readouterr().out)
    return printed


def test_a_builder_as_it_should_be_gives_0(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = text(made, capsys)

    assert code is ExitCode.OK
    assert lines[:3] == [
        f"{UNIT}: active (running)",
        "container: down; prefix /var/lib/darling-builder/guest/prefix",
        "sshd: 127.0.0.1:2222",
    ]
    assert re.fullmatch(r"store: .* of its own, 0 B shared with this machine; .* free", lines[3])
    assert lines[4:] == [f"  ok    {step.name}" for step in build(chosen(), made).steps]


def test_every_difference_is_named_and_gives_3(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    made.darling.files().remove(SSHD_CONFIG)
    made.systemd.stop(UNIT)

    code, lines = text(made, capsys)

    assert code is ExitCode.DRIFT
    assert f"  drift sshd: {SSHD_CONFIG}: absent" in lines
    assert f"  drift service: {UNIT}: is inactive (dead)" in lines


def test_without_a_builder_that_is_all_there_is_to_say(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = text(world, capsys)

    assert code is ExitCode.DRIFT
    assert lines[-1] == "  drift settings: /var/lib/darling-builder: holds no builder"
    assert len(lines) == 4


def test_a_setting_that_was_changed_since_is_pending(made: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = text(made, capsys, port="2022")

    assert code is ExitCode.DRIFT
    assert [line for line in lines if "drift" in line] == [
        "  drift settings: setting port: is 2222, should be 2022 (flag)"
    ]
    assert "sshd: 127.0.0.1:2222" in lines  # where it is until then


def test_the_flags_of_one_init_are_not_pending(world: FakeWorld, capsys: pytest.CaptureFixture[str]) -> None:
    make(world, chosen(port="2022"))
    code, lines = text(world, capsys)
    assert (code, lines[2]) == (ExitCode.OK, "sshd: 127.0.0.1:2022")


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
    store = printed.pop("store")
    assert isinstance(store, dict)
    assert (store["shared"], store["own"] > 0, store["free"] > 0) == (0, True, True)
    assert printed == {
        "unit": UNIT,
        "state": "active (running)",
        "message": "",
        "restarts": 0,
        "container": made.darling.server(),
        "port": 2222,
        "prefix": "/var/lib/darling-builder/guest/prefix",
        "converged": False,
        "notes": [],
    }
    assert {"step": "user", "drift": [], "error": None, "hint": None} in steps
    assert [one["drift"] for one in steps if one["step"] == "sshd"] == [
        [{"what": str(SSHD_CONFIG), "detail": "absent"}]
    ]


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
    status.run(called(made), Namespace(json=as_json))
    assert (seen(made.host.root), times(made.host.root)) == before
    assert capsys.readouterr().err == ""
