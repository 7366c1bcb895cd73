"""What is done as another user, and what becomes of it when that goes wrong."""

import os
import shutil
import time
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.identity import as_user
from darlingbuilder.adapters.process import Account
from darlingbuilder.core.errors import NixError
from darlingbuilder.core.owner import Owner

NOBODY = Account("nobody", Owner(65534, 65534))
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_an_answer_comes_back() -> None:
    assert as_user(None, lambda: {"a": [1, 2]}, dict[str, list[int]], seconds=10) == {"a": [1, 2]}


def test_an_answer_may_be_long() -> None:
    assert len(as_user(None, lambda: "x" * 5_000_000, str, seconds=10)) == 5_000_000


def test_what_is_changed_there_stays_there() -> None:
    here: list[int] = []
    as_user(None, lambda: here.append(1), type(None), seconds=10)
    assert here == []


def test_nothing_of_our_environment_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    assert "NIX_REMOTE" not in as_user(None, lambda: sorted(os.environ), list[str], seconds=10)


@AS_ROOT
def test_it_is_done_as_that_user_alone() -> None:
    def told() -> list[int]:
        return [*os.getresuid(), *os.getresgid(), *os.getgroups()]

    assert as_user(NOBODY, told, list[int], seconds=10) == [65534] * 6


def test_an_error_keeps_its_words() -> None:
    def fails() -> None:
        raise NixError("the store is full", hint="make room")

    with pytest.raises(NixError, match="the store is full") as caught:
        as_user(None, fails, type(None), seconds=10)
    assert caught.value.hint == "make room"


@pytest.mark.parametrize(
    ("meets", "told"),
    [
        (lambda: os.mkdir("/nonexistent/there"), "No such file or directory"),  # noqa: PTH102 - as it fails
        (lambda: os.lstat("\0"), "null byte"),
        (lambda: list(TopologicalSorter({1: [2], 2: [1]}).static_order()), "cycle"),
    ],
)
def test_what_the_user_can_have_prepared_is_no_bug(meets: Callable[[], object], told: str) -> None:
    with pytest.raises(NixError, match=f"what was to be done as ourselves failed: .*{told}") as caught:
        as_user(None, meets, object, seconds=10)
    assert "darlingbuilder reset" in caught.value.hint


def test_a_bug_is_told_with_where_it_is() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)test_identity.*ZeroDivisionError"):
        as_user(None, lambda: 1 // 0, int, seconds=10)


def test_an_answer_of_another_kind_is_refused() -> None:
    with pytest.raises(NixError):
        as_user(None, lambda: ["no number"], int, seconds=10)  # type: ignore[arg-type, return-value]  # on purpose


def test_one_that_dies_gives_no_answer() -> None:
    with pytest.raises(NixError, match="was not done"):
        as_user(None, lambda: os.kill(os.getpid(), 9), type(None), seconds=10)


def test_one_that_hangs_is_ended_with_all_it_has_started(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")

    def hangs() -> None:
        process.run("/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; {sleep} 100")

    began = time.monotonic()
    with pytest.raises(NixError, match=r"within 0\.5 s"):
        as_user(None, hangs, type(None), seconds=0.5)
    assert time.monotonic() - began < 5
    assert not procfs.alive(int((tmp_path / "pid").read_text()))
