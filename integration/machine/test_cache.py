import sys
from pathlib import Path

import pytest

from integration.machine.cache import cached, digest
from integration.machine.commands import start

MAKER = """\
import time
from pathlib import Path
from integration.machine.cache import cached
def make(directory):
    time.sleep(0.3)
    (directory / "made").write_text("whole")
    with Path("{log}").open("a") as log:
        log.write("made once\\n")
print((cached("things", "key", make) / "made").read_text())
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "darlingbuilder"


def test_of_two_processes_that_want_the_same_one_makes_it_and_both_get_it(tmp_path: Path) -> None:
    script = MAKER.format(log=tmp_path / "log")
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    makers = [start((sys.executable, "-c", script), cwd=Path(__file__).parents[2], env=environment) for _ in range(2)]
    assert [maker.communicate(timeout=60) for maker in makers] == [(b"whole\n", b"")] * 2
    assert (tmp_path / "log").read_text() == "made once\n"


def test_what_could_not_be_made_is_not_there_and_is_tried_again(home: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        cached("things", "key", fail)
    assert list((home / "things").iterdir()) == []
    assert list(cached("things", "key", lambda directory: (directory / "whole").touch()).iterdir())


def test_the_remains_of_a_maker_that_was_killed_do_not_get_into_the_next(home: Path) -> None:
    unfinished = home / "things" / ".key.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "half").touch()
    assert list(cached("things", "key", lambda _: None).iterdir()) == []


def test_ingredients_are_told_apart_at_their_borders() -> None:
    assert digest("ab", "c") != digest("a", "bc")
