"""Which of apt's sources is Debian's archive, whatever they look like."""

from pathlib import Path

import pytest

from integration.machine.mirror import MirrorError, Target, choose, signed_by, source

ARCHIVE = Target("http://mirror.example/debian/", "bookworm", "main", "/etc/apt/sources.list:1")
UPDATES = Target("http://mirror.example/debian/", "bookworm-updates", "main", "/etc/apt/sources.list:2")
SECURITY = Target("http://mirror.example/security/", "bookworm-security", "main", "/etc/apt/sources.list:3")
OTHERS = Target("https://vendor.example/deb/", "bookworm", "main", "/etc/apt/sources.list.d/a.list:1")
FLAT = Target("https://flat.example/", "./", "", "/etc/apt/sources.list.d/b.list:1")


def test_the_archive_is_the_suite_that_has_updates() -> None:
    assert choose([FLAT, OTHERS, SECURITY, UPDATES, ARCHIVE]) == ARCHIVE


def test_without_updates_the_first_suite_is_taken() -> None:
    assert choose([SECURITY, ARCHIVE, OTHERS]) == ARCHIVE


@pytest.mark.parametrize("targets", [[], [FLAT], [SECURITY, UPDATES]])
def test_without_a_suite_there_is_no_archive(targets: list[Target]) -> None:
    assert choose(targets) is None


def test_the_keys_of_an_entry_are_those_of_its_stanza(tmp_path: Path) -> None:
    file = tmp_path / "debian.sources"
    file.write_text(
        "# Types: a comment\nTypes: deb\nURIs: http://a/\nSigned-By: /a.gpg\n\n# only a comment\n\n"
        "Types: deb\nURIs: http://b/\nsigned-by: /b.gpg, /c.gpg\n\nTypes: deb\nURIs: http://d/\n"
    )
    assert signed_by(f"{file}:1") == [Path("/a.gpg")]
    assert signed_by(f"{file}:2") == [Path("/b.gpg"), Path("/c.gpg")]
    assert signed_by(f"{file}:3") == []


def test_the_keys_of_an_entry_are_those_of_its_line(tmp_path: Path) -> None:
    file = tmp_path / "debian.list"
    file.write_text("# comment\n\ndeb [arch=amd64 signed-by=/a.gpg] http://a/ bookworm main\ndeb http://b/ x main\n")
    assert signed_by(f"{file}:3") == [Path("/a.gpg")]
    assert signed_by(f"{file}:4") == []


def test_a_mirror_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBIAN_MIRROR", "http://other.example/debian")
    line = source("sid", options="check-valid-until=no")
    assert line.endswith(" check-valid-until=no] http://other.example/debian sid main")


def test_a_machine_without_apt_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MirrorError, match="DEBIAN_MIRROR=URL"):
        source("trixie")


def test_this_machines_own_sources_have_one() -> None:
    assert source("trixie").endswith(" trixie main")
