"""``make release``: sdist and wheel of the tagged commit that is checked out, or the reason why they are not made.

They are made from that commit alone (git archive), dated by it, and are the same bytes wherever that is done. Nothing
is uploaded. The version has one source, ``__version__``; tag and CHANGELOG have to agree with it.
"""

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from integration.machine.commands import CommandError, run
from integration.packaging import distributions

SUMS = "SHA256SUMS"
_VERSION = re.compile(r'^__version__ = "(?P<version>[^"]+)"$', re.MULTILINE)
_SECTION = re.compile(r"^## (?P<title>.*)\n(?P<text>(?:(?!## ).*\n?)*)", re.MULTILINE)


class ReleaseError(Exception):
    """A release that is not made; the message says what has to be right first."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What is checked out in the clone ``clone``."""

    clone: Path

    def git(self, *words: str) -> str:
        """Ask git. Raises ReleaseError with its own words."""
        try:
            return run(("git", *words), cwd=self.clone, env=os.environ).stdout
        except CommandError as error:
            raise ReleaseError(f"git {words[0]}: {error.completed.stderr.strip()}") from error

    @property
    def epoch(self) -> int:
        """When it was made, in seconds."""
        return int(self.git("log", "-1", "--format=%ct"))

    def text(self, name: str) -> str:
        """Give a file as it was committed."""
        return self.git("show", f"HEAD:{name}")

    def put(self, place: Path) -> Path:
        """Lay out its files, and nothing else, in ``place``."""
        place.mkdir()
        archive = place.with_suffix(".tar")
        self.git("archive", "--output", str(archive), "HEAD")
        shutil.unpack_archive(archive, place, filter="data")
        return place


def main() -> int:
    """Make the release of this clone; the exit code is 1 if it is refused."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clone", type=Path, default=Path.cwd(), help="default: where you are")
    parser.add_argument("into", type=Path, help="the directory for sdist, wheel and their SHA-256")
    given = parser.parse_args()
    try:
        sums = release(given.clone, given.into)
    except ReleaseError as error:
        sys.stderr.write(f"no release: {error}\n")
        return 1
    sys.stdout.write(sums)
    return 0


def release(clone: Path, into: Path) -> str:
    """Make sdist, wheel and SHA256SUMS in ``into``, and give the latter's text. Raises ReleaseError."""
    commit = Commit(clone)
    require_fit(commit)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        sources = commit.put(Path(scratch) / "sources")
        made = [
            distributions.sdist(sources, Path(scratch) / "dist", epoch=commit.epoch),
            distributions.wheel(sources, Path(scratch) / "dist", epoch=commit.epoch),
        ]
        sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in made)
        for file in made:
            shutil.copyfile(file, into / file.name)
    (into / SUMS).write_text(sums)
    return sums


def require_fit(commit: Commit) -> None:
    """Raise ReleaseError unless all is committed, tagged by its version, and told of in its CHANGELOG."""
    if changed := commit.git("status", "--porcelain"):
        raise ReleaseError(f"not everything is committed:\n{changed.rstrip()}")
    found = _VERSION.search(commit.text("darlingbuilder/__init__.py"))
    if not found:
        raise ReleaseError("darlingbuilder/__init__.py has no __version__")
    tag, tags = f"v{found['version']}", commit.git("tag", "--points-at", "HEAD").split()
    if tag not in tags:
        raise ReleaseError(
            f"__version__ is {found['version']}, and the commit's tags are: {' '.join(tags) or 'none'}; "
            f"set the version, commit, then: git tag --sign {tag}"
        )
    _require_section(commit.text("CHANGELOG.md"), found["version"])


def _require_section(changelog: str, version: str) -> None:
    sections = [(found["title"], found["text"].strip()) for found in _SECTION.finditer(changelog)]
    titled = re.compile(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d")
    if [title for title, _ in sections[:1]] != ["[Unreleased]"] or sections[0][1]:
        raise ReleaseError("CHANGELOG.md should begin with an empty section [Unreleased]")
    if len(sections) == 1 or not titled.fullmatch(sections[1][0]) or not sections[1][1]:
        raise ReleaseError(f"CHANGELOG.md should go on with what is new: ## [{version}] - YEAR-MONTH-DAY")


if __name__ == "__main__":
    sys.exit(main())
