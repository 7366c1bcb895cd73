"""What a verb is given: the builder's own settings, or those of the call."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder.adapters.darling import Launcher
from darlingbuilder.commands import context
from darlingbuilder.commands.context import Context
from darlingbuilder.core import marker
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import BuilderError, ForeignFileError
from darlingbuilder.core.paths import Paths
from tests.fakes.furnished import chosen
from tests.fakes.ledger import LedgerTree


@pytest.fixture
def state() -> Iterator[Path]:
    """Give a state directory whose name is short enough for a prefix below it."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "state"


def record(config: Config) -> None:
    """Leave the marker of a builder that was made with ``config``."""
    marker.write(LedgerTree(Path("/")), Paths(config.settings).marker, marker.of(config))


def prefix_of(found: Context) -> Path:
    assert isinstance(found.world.darling, Launcher)
    return found.world.darling.prefix


def test_without_a_marker_the_settings_are_those_of_the_call(state: Path) -> None:
    call = chosen(state=str(state), port="2022")

    found = context.of(call, as_called=False)

    assert (found.marker, found.config) == (None, call)
    assert prefix_of(found) == state / "guest/prefix"
    with pytest.raises(BuilderError, match=f"there is no builder in {state}") as caught:
        found.require_builder()
    assert caught.value.hint == "make one: darlingbuilder init"
    assert not state.exists()


def test_every_verb_but_init_works_with_the_builders_own_settings(state: Path) -> None:
    made = chosen(state=str(state), prefix=str(state.with_name("p") / "prefix"), port="2022")
    record(made)

    found = context.of(chosen(state=str(state)), as_called=False)

    assert found.config == made
    assert found.require_builder() == made.settings
    assert prefix_of(found) == made.settings.prefix_path


def test_init_works_in_the_world_of_its_own_settings(state: Path) -> None:
    record(chosen(state=str(state)))
    call = chosen(state=str(state), prefix=str(state.with_name("p") / "prefix"))

    found = context.of(call, as_called=True)

    assert (found.called, found.marker is None) == (call, False)
    assert prefix_of(found) == call.settings.prefix_path


def test_a_marker_that_cannot_be_read_is_an_error(state: Path) -> None:
    call = chosen(state=str(state))
    state.mkdir()
    Paths(call.settings).marker.write_text("{")

    with pytest.raises(ForeignFileError, match="is not a marker of darlingbuilder"):
        context.of(call, as_called=False)


def test_what_counts_failures_goes_on_where_the_marker_cannot_be_read(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = chosen(state=str(state), port="2022")
    state.mkdir()
    Paths(call.settings).marker.write_text("{")

    found = context.of(call, as_called=False, in_any_case=True)

    assert found.require_builder() == call.settings
    assert prefix_of(found) == call.settings.prefix_path
    assert "warning: the marker cannot be read" in capsys.readouterr().err


def test_json_is_for_programs_and_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    context.say_json({"a": [1, None], "b": "ü"})
    assert capsys.readouterr().out == '{\n  "a": [\n    1,\n    null\n  ],\n  "b": "ü"\n}\n'


def test_from_a_working_directory_that_is_gone_names_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert context.here() == gone
    gone.rmdir()
    assert context.here() == Path("/")
    monkeypatch.chdir(tmp_path)
