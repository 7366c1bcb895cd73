"""The overview is complete whatever is missing, and says why where it is not."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import msgspec
import pytest

from darlingbuilder.core import failures, keypair
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.layers import Outcome
from darlingbuilder.steps.overview import overview, tested
from darlingbuilder.steps.overview.notebook import Notebook
from darlingbuilder.steps.overview.overview import Overview
from darlingbuilder.steps.profile import nix_tree
from tests.commands.builder import machine, make
from tests.fakes.furnished import chosen
from tests.fakes.programs import write
from tests.fakes.world import FakeWorld, fake_world
from tests.names import SOCKET, UNIT
from tests.steps.prerequisites.machine import free_port

PATHS = Paths(Settings())


@pytest.fixture
def made() -> Iterator[FakeWorld]:
    with machine() as world:
        yield make(world)


def seen(world: FakeWorld, *, made: bool = True) -> Overview:
    """Look, and see that the answer is what its schema says."""
    found = overview.of(Settings(), world, [], made=made)
    jsonschema.Draft202012Validator(msgspec.json.schema(Overview)).validate(json.loads(msgspec.json.encode(found)))
    return found


def parts(found: Overview) -> set[str]:
    assert all(error.message and error.hint for error in found.errors)
    return {error.part for error in found.errors}


def test_of_a_builder_as_it_should_be_everything_is_known(made: FakeWorld) -> None:
    found = seen(made)

    assert parts(found) == set()
    assert (found.nix.host, found.nix.guest) == ("2.26.3", "2.31.2")
    assert [key.fingerprint for key in found.keys] == [
        key.fingerprint for path in (PATHS.key, PATHS.host_key) if (key := keypair.read(made.host, path))
    ]


@pytest.mark.parametrize("ending", ["2\udcff", "2\x1b[2J", "2.31.2/"])
def test_what_a_build_has_made_of_the_profile_is_no_version(made: FakeWorld, ending: str) -> None:
    link = f"/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-{ending}"
    nix_tree(Settings(), made).write_link(Path("/var/nix/profiles/default-1-link"), link)
    assert seen(made).nix.guest is None


def test_the_schema_describes_every_field() -> None:
    schema = msgspec.json.schema(Overview)
    fields = schema["$defs"]["Overview"]
    assert set(fields["required"]) == set(Overview.__struct_fields__)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({"unit": 1})


def test_with_the_bus_away_the_rest_is_told(made: FakeWorld) -> None:
    made.systemd.reachable = False
    found = seen(made)
    assert parts(found) == {"unit"}
    assert found.state == "unknown: systemd does not answer"
    assert found.nix.guest == "2.31.2"


def test_with_nix_missing_the_rest_is_told(made: FakeWorld) -> None:
    made.nix.installed = False
    found = seen(made)
    assert parts(found) == {"nix.host"}
    assert (found.nix.host, found.nix.guest) == (None, "2.31.2")


def test_keys_that_are_damaged_are_told(made: FakeWorld) -> None:
    made.host.write(PATHS.key, b"no key")
    made.host.remove(PATHS.host_key)
    found = seen(made)
    assert parts(found) == {"keys.client"}
    assert [key.fingerprint for key in found.keys] == [None, None]


def test_a_damaged_record_of_the_last_test_is_told(made: FakeWorld) -> None:
    made.host.write(PATHS.last_test, b'{"at": "yesterday"}')
    found = seen(made)
    assert parts(found) == {"tested"}
    assert found.tested is None


def test_on_a_machine_with_nothing_at_all_it_answers(tmp_path: Path) -> None:
    world = fake_world(tmp_path)
    world.darling.installed = False
    world.nix.installed = False
    world.systemd.reachable = False

    found = seen(world, made=False)

    assert parts(found) == {"unit", "nix.host"}
    assert (found.container, found.builds, found.keys) == (None, [], [])
    assert list(tmp_path.iterdir()) == []


def test_the_last_test_is_kept_with_its_outcome(made: FakeWorld) -> None:
    outcomes = [Outcome("unit", "passed", 0.25, "", ""), Outcome("tcp", "failed", 0.5, "alas", "do")]
    tested.record(Settings(), made.host, outcomes, build=False)

    kept = seen(made).tested

    assert kept is not None
    assert (kept.passed, kept.failed, kept.seconds, kept.build) == (False, "tcp", 0.75, False)


def test_a_record_that_cannot_be_written_ends_no_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = fake_world(tmp_path)
    (tmp_path / "var").write_text("in the way")

    tested.record(Settings(), world.host, [], build=True)

    assert "the outcome is not kept" in capsys.readouterr().err


def test_how_the_unit_ended_last_is_read_from_the_journal(
    made: FakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = '{"EXIT_CODE":"killed","EXIT_STATUS":"9","__REALTIME_TIMESTAMP":"1795245199780006","MESSAGE":"x"}'
    write(tmp_path / "journalctl", f"case \"$*\" in *UNIT=darling-builder.service*) echo '{entry}';; esac")
    monkeypatch.setenv("PATH", str(tmp_path))

    end = seen(made).last_end

    assert end is not None
    assert (end.how, round(end.at or 0)) == ("signal KILL", 1795245200)


@pytest.mark.parametrize("said", ["", "no json", "{}", '{"EXIT_CODE":"exited","EXIT_STATUS":"x"}'])
def test_a_journal_that_knows_nothing_is_no_error(
    made: FakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    write(tmp_path / "journalctl", f"echo '{said}'")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert seen(made).last_end is None


def test_without_a_journal_it_answers(made: FakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert parts(seen(made)) == set()


def test_what_cannot_be_read_is_noted_with_its_file() -> None:
    notebook = Notebook()

    def refuse() -> None:
        raise PermissionError(13, "Permission denied", "/etc/x")

    assert notebook.ask("x", refuse) is None
    (trouble,) = notebook.troubles
    assert (trouble.part, trouble.message) == ("x", "/etc/x: Permission denied")
    assert trouble.hint


def test_of_one_on_demand_it_is_told_whether_a_connection_would_start_it() -> None:
    config = chosen(on_demand="true", private_port=str(free_port()))
    with machine() as world:
        make(world, config)

        def waiting() -> bool | None:
            return overview.of(config.settings, world, [], made=True).waiting

        assert waiting() is True
        world.systemd.start(UNIT)
        assert waiting() is False
        world.systemd.stop(UNIT)
        world.systemd.stop(SOCKET)
        assert waiting() is False
        world.systemd.reachable = False
        assert waiting() is None


def test_a_builder_out_of_service_says_since_when_and_why(made: FakeWorld) -> None:
    assert seen(made).breaker is None
    failures.write(Settings(), made.host, failures.Record(3, "sshd has ended", since=5.0))
    assert seen(made).breaker == failures.Outage(5.0, "sshd has ended")
