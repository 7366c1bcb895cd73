"""The record of failures: kept, read again, and never in the way when it is damaged."""

from pathlib import Path

import pytest

from darlingbuilder.core import failures
from darlingbuilder.core.failures import Outage, Record
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from tests.fakes.tree import RootlessTree

SETTINGS = Settings()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    tree, record = RootlessTree(tmp_path), Record(3, "sshd has ended", since=1.5)
    failures.write(SETTINGS, tree, record)
    assert failures.read(SETTINGS, tree) == record


def test_without_a_record_nothing_has_failed(tmp_path: Path) -> None:
    tree = RootlessTree(tmp_path)
    assert failures.read(SETTINGS, tree) is None
    assert failures.outage(SETTINGS, tree) is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"failures": "many", "reason": ""}'])
def test_a_damaged_record_counts_for_none(tmp_path: Path, content: bytes) -> None:
    tree = RootlessTree(tmp_path)
    tree.write(Paths(SETTINGS).failures, content)
    assert failures.read(SETTINGS, tree) is None


@pytest.mark.parametrize(
    ("since", "breaker", "expected"),
    [(None, True, None), (2.0, True, Outage(2.0, "why")), (2.0, False, None)],
)
def test_a_builder_is_out_of_service_from_a_moment_on_if_there_is_a_breaker(
    tmp_path: Path, since: float | None, expected: Outage | None, *, breaker: bool
) -> None:
    settings, tree = Settings(breaker=breaker), RootlessTree(tmp_path)
    failures.write(settings, tree, Record(3, "why", since=since))
    assert failures.outage(settings, tree) == expected
