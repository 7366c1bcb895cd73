"""Release tarballs: what is unpacked, and what is refused."""

import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.adapters import tarball
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.storepath import below
from tests.fakes.release import CACERT, NIX, Release


def unpack(packed: tuple[Path, str], into: Path) -> tarball.Release:
    file, sha256 = packed
    return tarball.unpack(file, sha256=sha256, into=into)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"nix-2.31.2-x86_64-darwin/{name}")
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
def test_a_release_is_unpacked_with_what_it_says_of_itself(tmp_path: Path, compression: str) -> None:
    into = tmp_path / "into"

    release = unpack(Release().pack(tmp_path, compression=compression), into)

    assert (release.nix, release.cacert) == (NIX, CACERT)
    assert release.registration.decode().startswith(f"{NIX}\n")
    assert (below(into, NIX) / "bin/nix-store").read_text() == "store\n"
    assert (below(into, NIX) / "bin/nix-store").stat().st_mode & 0o777 == 0o755
    assert (below(into, CACERT) / "etc/ssl/certs/ca-bundle.crt").stat().st_mode & 0o777 == 0o644


def test_links_come_along_wherever_they_lead(tmp_path: Path) -> None:
    inside = f"store/{NIX[11:]}/bin"
    extra = (link(f"{inside}/nix-env", "nix-store"), link(f"{inside}/cacert", CACERT))

    unpack(Release(extra=extra).pack(tmp_path), tmp_path / "into")

    assert (below(tmp_path / "into", NIX) / "bin/nix-env").readlink() == Path("nix-store")
    assert (below(tmp_path / "into", NIX) / "bin/cacert").readlink() == Path(CACERT)


def test_a_hard_link_within_the_store_is_a_file_of_the_same_content(tmp_path: Path) -> None:
    top = "nix-2.31.2-x86_64-darwin"
    inside = f"store/{NIX[11:]}/bin"
    extra = (link(f"{inside}/nix-env", f"{top}/{inside}/nix-store", tarfile.LNKTYPE),)

    unpack(Release(extra=extra).pack(tmp_path), tmp_path / "into")

    assert (below(tmp_path / "into", NIX) / "bin/nix-env").read_text() == "store\n"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    file = link(f"store/{NIX[11:]}/trap/file", "")
    file.type = tarfile.REGTYPE
    extra = (link(f"store/{NIX[11:]}/trap", str(outside)), file)

    with pytest.raises(Exception, match="unpacked"):
        unpack(Release(extra=extra).pack(tmp_path), tmp_path / "into")

    assert list(outside.iterdir()) == []


def test_another_hash_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    file, sha256 = Release().pack(tmp_path)
    pinned = "0" * 64

    with pytest.raises(ConfigError) as caught:
        unpack((file, pinned), tmp_path / "into")

    assert sha256 in str(caught.value)
    assert pinned in str(caught.value)
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize(
    ("release", "message"),
    [
        (Release(install=None), "holds no install"),
        (Release(registered=False), r"holds no \.reginfo"),
        (Release(install="#!/bin/sh\necho no Nix\n"), "names no Nix in its install"),
        (Release(install=f'nix="{CACERT[:-1]}9"\n'), "does not hold it"),
        (Release(top="nix-2.31.2-x86_64-linux"), r"is Nix 2\.31\.2 for x86_64-linux; the guest needs x86_64-darwin"),
        (Release(top="hello-2.12"), "holds 'hello-2.12': it is no release of Nix"),
        (Release(extra=(tarfile.TarInfo("nix-2.31.2-x86_64-darwin/../../x"),)), "leads out of it"),
        (Release(extra=(tarfile.TarInfo("/etc/passwd"),)), "leads out of it"),
        (Release(extra=(link("store/fifo", "", tarfile.FIFOTYPE),)), "neither file, directory nor link"),
        (Release(extra=(link("store/hard", "/etc/shadow", tarfile.LNKTYPE),)), "a link to nothing in it"),
    ],
)
def test_what_is_no_release_is_refused_with_what_it_is(tmp_path: Path, release: Release, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        unpack(release.pack(tmp_path), tmp_path / "into")

    assert "x86_64-darwin.tar.xz" in caught.value.hint


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_archive_is_refused_even_if_its_hash_is_pinned(
    tmp_path: Path, compression: str, share: float
) -> None:
    file, _ = Release().pack(tmp_path, compression=compression)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    with pytest.raises(ConfigError, match=r"no tar archive, or damaged|is damaged|holds no|does not hold it"):
        unpack(pinned(file), tmp_path / "into")


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
def test_a_damaged_archive_is_refused_even_if_its_hash_is_pinned(tmp_path: Path, compression: str) -> None:
    file, _ = Release().pack(tmp_path, compression=compression)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    file.write_bytes(content)

    with pytest.raises(ConfigError, match="damaged"):
        unpack(pinned(file), tmp_path / "into")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "nix.tar.xz"
    file.write_text("<html>404</html>\n")

    with pytest.raises(ConfigError, match="is no tar archive, or damaged"):
        unpack(pinned(file), tmp_path / "into")


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nix\.tar\.xz cannot be read: No such file"):
        unpack((tmp_path / "nix.tar.xz", "0" * 64), tmp_path / "into")


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        unpack((tmp_path, "0" * 64), tmp_path / "into")


def test_an_install_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    release = replace(Release(), install="#" * (2**24 + 1))

    with pytest.raises(ConfigError, match="holds no install"):
        unpack(release.pack(tmp_path), tmp_path / "into")


def pinned(file: Path) -> tuple[Path, str]:
    return file, hashlib.sha256(file.read_bytes()).hexdigest()
