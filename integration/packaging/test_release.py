"""A release by tag: refused where tag, version and CHANGELOG disagree, and otherwise the same bytes each time."""

import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.machine.commands import run
from integration.packaging.distributions import checkout
from integration.packaging.release import SUMS, ReleaseError, release

WHEN = 1767225600  # the first second of 2026, UTC
CHANGELOG = """\
# Changelog

## [Unreleased]

## [1.2.3] - 2026-01-01

### Added

- everything
"""
GIT = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_AUTHOR_DATE": f"{WHEN} +0000", "GIT_COMMITTER_DATE": f"{WHEN} +0000",
}  # fmt: skip


def git(clone: Path, *words: str) -> None:
    run(("git", *words), cwd=clone, env=GIT)


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A clone with these sources, of the version 1.2.3, committed and tagged."""
    clone = checkout(tmp_path / "clone")
    module = clone / "darlingbuilder/__init__.py"
    module.write_text(re.sub(r'__version__ = ".*"', '__version__ = "1.2.3"', module.read_text()))
    (clone / "CHANGELOG.md").write_text(CHANGELOG)
    git(clone, "init", "--quiet", "--initial-branch", "main")
    commit(clone)
    git(clone, "tag", "v1.2.3")
    return clone


def commit(clone: Path) -> None:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "A release")


def tag_again(clone: Path) -> None:
    commit(clone)
    git(clone, "tag", "--force", "v1.2.3")


def tag_otherwise(clone: Path) -> None:
    git(clone, "tag", "v1.3.0")
    git(clone, "tag", "--delete", "v1.2.3")


def lose_history(clone: Path) -> None:
    (clone / ".git").rename(clone / "not git")


def edit(name: str, old: str, new: str, *, then: Callable[[Path], None] = tag_again) -> Callable[[Path], None]:
    """Give what replaces a text in a file, and by default commits and tags that."""

    def change(clone: Path) -> None:
        text = (clone / name).read_text()
        assert old in text
        (clone / name).write_text(text.replace(old, new))
        then(clone)

    return change


# What is wrong, and what is said of it.
UNFIT: dict[str, tuple[Callable[[Path], None], str]] = {
    "a change that is not committed": (
        edit("README.md", "darlingbuilder", "x", then=lambda _: None),
        r"not everything is committed:\n M README.md",
    ),
    "a file that is not committed": (lambda clone: (clone / "mine").touch(), r"committed:\n\?\? mine"),
    "no tag": (lambda clone: git(clone, "tag", "--delete", "v1.2.3"), "the commit's tags are: none; .*v1.2.3"),
    "a tag of another version": (
        tag_otherwise,
        "__version__ is 1.2.3, and the commit's tags are: v1.3.0",
    ),
    "a tag that is a commit old": (edit("README.md", "darlingbuilder", "x", then=commit), "tags are: none"),
    "another version in the program": (
        edit("darlingbuilder/__init__.py", "1.2.3", "1.2.4"),
        "__version__ is 1.2.4, and the commit's tags are: v1.2.3",
    ),
    "a CHANGELOG of another version": (edit("CHANGELOG.md", "1.2.3", "1.2.2"), r"what is new: ## \[1.2.3\] - YEAR"),
    "a CHANGELOG without the day": (edit("CHANGELOG.md", " - 2026-01-01", ""), "what is new"),
    "a CHANGELOG that tells nothing": (edit("CHANGELOG.md", "### Added\n\n- everything\n", ""), "what is new"),
    "news that are in no release": (
        edit("CHANGELOG.md", "[Unreleased]\n", "[Unreleased]\n\n- a thing\n"),
        "an empty section",
    ),
    "no clone": (lose_history, "git status: .*not a git repository"),
}


@pytest.mark.parametrize(("spoil", "says"), UNFIT.values(), ids=UNFIT.keys())
def test_what_is_not_right_is_not_released(
    tagged: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(tagged)

    with pytest.raises(ReleaseError, match=says):
        release(tagged, tmp_path / "dist")

    assert not (tmp_path / "dist").exists()


def test_two_releases_of_a_tag_are_the_same_bytes_and_hold_the_commit_alone(tagged: Path, tmp_path: Path) -> None:
    # given: another clone, with what git is told to ignore, and other times
    other = tmp_path / "another place" / "clone"
    git(tmp_path, "clone", "--quiet", str(tagged), str(other))
    (other / "darlingbuilder/guest/compat.dylib").write_bytes(b"stale")
    (other / "build").mkdir()
    (other / "build/secret").touch()
    # when
    first, second = release(tagged, tmp_path / "1"), release(other, tmp_path / "2")
    # then
    names = [line.split()[1] for line in first.splitlines()]
    assert names == ["darlingbuilder-1.2.3.tar.gz", "darlingbuilder-1.2.3-py3-none-any.whl"]
    assert first == second == (tmp_path / "1" / SUMS).read_text()
    assert [(tmp_path / "1" / name).read_bytes() for name in names] == [
        (tmp_path / "2" / name).read_bytes() for name in names
    ]
    run(("sha256sum", "--check", "--strict", SUMS), cwd=tmp_path / "1")
    # and: all of it is as old as the commit
    with tarfile.open(tmp_path / "1" / names[0]) as archive:
        assert {member.mtime for member in archive} == {WHEN}
        assert not [member.name for member in archive if "secret" in member.name]
    with zipfile.ZipFile(tmp_path / "1" / names[1]) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2026, 1, 1, 0, 0, 0)}
        assert archive.read("darlingbuilder/guest/compat.dylib") != b"stale"
