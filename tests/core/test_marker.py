"""The marker gives back what it was given, and whatever else lies in its place is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from darlingbuilder.core import config, declaration, marker
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ForeignFileError
from tests.fakes.tree import RootlessTree

PATH = Path("/builder.json")


@pytest.fixture
def tree(tmp_path: Path) -> RootlessTree:
    return RootlessTree(tmp_path)


def chosen(**flags: str) -> Config:
    return config.load(file=None, environment={}, flags=flags)


def write_edited(tree: RootlessTree, edit: Callable[[dict[str, Any]], object]) -> None:
    marker.write(tree, PATH, marker.of(chosen()))
    content = json.loads(tree.read(PATH) or b"")
    edit(content)
    tree.write(PATH, json.dumps(content).encode())


def test_without_a_marker_there_is_none(tree: RootlessTree) -> None:
    assert marker.read(tree, PATH) is None


def test_what_was_written_is_read(tree: RootlessTree) -> None:
    made_with = chosen(port="2300", max_jobs="auto")

    marker.write(tree, PATH, marker.of(made_with))

    found = marker.read(tree, PATH)
    assert found is not None
    assert found.config == made_with
    assert found.schema == marker.SCHEMA


def test_a_setting_that_is_newer_than_the_marker_has_its_default(tree: RootlessTree) -> None:
    write_edited(tree, lambda content: content["settings"].pop("nofile"))

    found = marker.read(tree, PATH)

    assert found is not None
    assert found.config.settings.nofile == declaration.table()["nofile"].default


def test_a_setting_that_is_no_more_is_passed_over(tree: RootlessTree) -> None:
    write_edited(tree, lambda content: content["settings"].update(colour="red"))

    found = marker.read(tree, PATH)

    assert found is not None
    assert "colour" not in found.config.origins


def test_a_version_that_is_no_longer_known_does_not_make_a_marker_unreadable(tree: RootlessTree) -> None:
    write_edited(tree, lambda content: content["settings"].update({"nix.version": "1.0"}))

    found = marker.read(tree, PATH)

    assert found is not None
    assert found.config.settings.nix.version == "1.0"


def test_the_marker_of_a_newer_version_is_named_as_that(tree: RootlessTree) -> None:
    tree.write(PATH, b'{"schema": 2, "tool_version": "9.0", "shape": "quite another"}')

    with pytest.raises(ForeignFileError, match=r"written by darlingbuilder 9\.0 \(schema 2\)") as caught:
        marker.read(tree, PATH)

    assert "install that version" in caught.value.hint


BROKEN = {
    "empty": b"",
    "text": b"hello\n",
    "bytes": b"\xff\xfe\x00",
    "a string that is no UTF-8": b'{"schema": 1, "tool_version": "\xff"}',
    "cut short": b'{"schema": 1, "tool_ver',
    "a list": b"[]",
    "no schema": b'{"tool_version": "1"}',
    "a schema of another type": b'{"schema": "1", "tool_version": "1"}',
    "a schema before the first": b'{"schema": 0, "tool_version": "1"}',
    "no settings": b'{"schema": 1, "tool_version": "1"}',
    "nested too deeply": b'{"schema": 1, "tool_version": "1", "settings": {"port": %s}}' % (b"[" * 50_000),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_marker_is_refused_with_a_remedy(tree: RootlessTree, content: bytes) -> None:
    tree.write(PATH, content)

    with pytest.raises(ForeignFileError, match="is not a marker of darlingbuilder") as caught:
        marker.read(tree, PATH)

    assert "backup" in caught.value.hint


EDITS: dict[str, dict[str, Any]] = {
    "a port that is text": {"port": "2222"},
    "a port that is none": {"port": 0},
    "the root as prefix": {"prefix": "/"},
    "everybody's home as state": {"state": "/home"},
    "an instance that is a number": {"instance": 5},
    "an instance that is a list": {"instance": ["b"]},
    "an instance that leads elsewhere": {"instance": "../b"},
}


@pytest.mark.parametrize("settings", EDITS.values(), ids=EDITS.keys())
def test_a_marker_with_settings_that_cannot_be_is_refused(tree: RootlessTree, settings: dict[str, Any]) -> None:
    write_edited(tree, lambda content: content["settings"].update(settings))

    with pytest.raises(ForeignFileError, match="is not a marker of darlingbuilder"):
        marker.read(tree, PATH)


@pytest.mark.parametrize(
    ("make", "kind"),
    [(Path.mkdir, "a directory"), (os.mkfifo, "a special file"), (lambda path: path.symlink_to("/x"), "a link")],
    ids=["directory", "pipe", "link"],
)
def test_what_is_no_file_is_refused(
    tree: RootlessTree, tmp_path: Path, make: Callable[[Path], object], kind: str
) -> None:
    make(tmp_path / PATH.name)

    with pytest.raises(ForeignFileError, match=f"it is {kind}"):
        marker.read(tree, PATH)


def test_settings_are_the_marker_s_before_others() -> None:
    recorded, others = marker.of(chosen(port="2300")), chosen(port="2400").settings

    assert marker.settings_of(recorded, others).port == 2300
    assert marker.settings_of(None, others).port == 2400


def test_a_marker_from_before_there_were_instances_is_that_of_the_default_one(tmp_path: Path) -> None:
    # given
    written = marker.of(config.load(file=None, environment={}, flags={}))
    old = msgspec.structs.replace(
        written, settings={key: value for key, value in written.settings.items() if key != "instance"}
    )
    marker.write(RootlessTree(tmp_path), Path("/builder.json"), old)

    found = marker.read(RootlessTree(tmp_path), Path("/builder.json"))

    assert found is not None
    assert found.config.settings == config.inflate(config.defaults("default"))
