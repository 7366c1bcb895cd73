"""Files of ours: compared, written and withdrawn; foreign ones left alone."""

import os
from pathlib import Path

import pytest

from darlingbuilder.core import managed
from darlingbuilder.core.drift import Drift
from darlingbuilder.core.errors import ForeignFileError
from darlingbuilder.core.links import Links
from darlingbuilder.core.managed import HEADER, ManagedFile
from darlingbuilder.core.owner import Owner
from darlingbuilder.core.tree import Tree
from tests.fakes.ledger import LedgerTree

PATH = Path("/etc/ours.conf")


@pytest.fixture
def host(tmp_path: Path) -> LedgerTree:
    return LedgerTree(tmp_path)


def test_a_file_that_is_absent_is_written_with_our_header(host: LedgerTree) -> None:
    # given
    file = ManagedFile(host, PATH, "answer = 42\n")
    assert managed.check([file]) == [Drift("/etc/ours.conf", "absent")]
    # when
    managed.converge([file])
    # then
    assert managed.check([file]) == []
    assert (host.read(PATH) or b"").decode().splitlines()[0].startswith(HEADER)
    assert (host.read(PATH) or b"").endswith(b"\nanswer = 42\n")


def test_a_file_that_is_right_is_not_touched(host: LedgerTree) -> None:
    file = ManagedFile(host, PATH, "x\n")
    managed.converge([file])
    before = host.attributes(PATH)
    managed.converge([file])
    assert host.attributes(PATH) == before


def test_an_edited_file_of_ours_shows_the_difference_and_is_put_right(host: LedgerTree) -> None:
    # given
    file = ManagedFile(host, PATH, "port = 1\n")
    host.write(PATH, file.text.replace("1", "2").encode())
    # when
    [drift] = managed.check([file])
    managed.converge([file])
    # then
    assert drift.detail == "differs"
    assert "-port = 2" in drift.diff
    assert "+port = 1" in drift.diff
    assert managed.check([file]) == []


def test_a_foreign_file_is_refused_and_stays(host: LedgerTree) -> None:
    # given
    host.write(PATH, b"precious\n")
    # when
    with pytest.raises(ForeignFileError, match="was not written by darlingbuilder"):
        managed.converge([ManagedFile(host, PATH, "x\n")])
    managed.withdraw(host, [PATH])
    # then
    assert host.read(PATH) == b"precious\n"


def test_in_the_guest_no_file_is_foreign_but_one_that_is_not_ours_is_not_removed(tmp_path: Path) -> None:
    guest = Tree(tmp_path, Links.REFUSED)
    guest.write(PATH, b"theirs\n")
    managed.withdraw(guest, [PATH])
    assert guest.read(PATH) == b"theirs\n"

    file = ManagedFile(guest, PATH, "x\n", owner=Owner(os.geteuid(), os.getegid()))
    managed.converge([file])

    assert managed.check([file]) == []


def test_a_file_without_an_end_is_drift_and_is_not_read(tmp_path: Path) -> None:
    guest = Tree(tmp_path, Links.REFUSED)
    file = ManagedFile(guest, PATH, "x\n", owner=Owner(os.geteuid(), os.getegid()))
    guest.write(PATH, b"theirs\n")
    os.truncate(guest.real(PATH), 1 << 40)
    assert [drift.detail for drift in managed.check([file])] == ["is longer than any file of ours"]
    managed.converge([file])
    assert managed.check([file]) == []


def test_a_foreign_link_to_what_looks_like_ours_is_refused(host: LedgerTree) -> None:
    # given: NixOS, say, has put a link there
    file = ManagedFile(host, PATH, "x\n")
    host.write(Path("/nix/store/conf"), f"{HEADER}\nolder\n".encode())
    host.write_link(PATH, str(host.root / "nix/store/conf"))
    # then
    with pytest.raises(ForeignFileError, match="symbolic link"):
        managed.converge([file])
    assert host.link(PATH) is not None


def test_a_wrong_mode_is_drift_and_is_put_right(host: LedgerTree) -> None:
    file = ManagedFile(host, PATH, "x\n", mode=0o640)
    managed.converge([file])
    (host.root / "etc/ours.conf").chmod(0o666)
    assert managed.check([file]) == [Drift("/etc/ours.conf", "mode is 0666, should be 0640")]
    managed.converge([file])
    assert managed.check([file]) == []


def test_a_wrong_owner_is_drift_and_is_put_right(host: LedgerTree) -> None:
    file = ManagedFile(host, PATH, "x\n")
    host.write(PATH, file.text.encode(), owner=Owner(4712, 4713))
    assert managed.check([file]) == [Drift("/etc/ours.conf", "belongs to 4712:4713")]
    managed.converge([file])
    assert managed.check([file]) == []


def test_withdrawing_removes_what_is_ours_and_can_be_repeated(host: LedgerTree) -> None:
    managed.converge([ManagedFile(host, PATH, "x\n")])
    for _ in range(2):
        managed.withdraw(host, [PATH])
        assert host.attributes(PATH) is None
