"""Reaching into a prefix from the host, with the container down and with it running."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from . import processes
from .launcher import NewPrefix, Prefix
from .processes import Account

CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}


@pytest.fixture(autouse=True)
def as_root(root: Account) -> Account:
    """Everything here is done by root on the host, whoever owns the guest."""
    return root


def on_host(root: Account, *argv: str) -> None:
    assert processes.start(argv, root, env=CLEAN).wait(20) == 0, argv


def in_namespace(root: Account, guest: Prefix, *argv: str) -> None:
    on_host(root, "nsenter", f"--mount=/proc/{guest.server()}/ns/mnt", *argv)


@pytest.fixture
def own_guest(account: Account, new_prefix: NewPrefix) -> Prefix:
    """A container that a test may mount in."""
    prefix = new_prefix(account)
    prefix.boot()
    return prefix


@pytest.fixture
def host_tree(workshop: Path) -> Path:
    tree = Path(workshop / "tree")
    tree.mkdir(exist_ok=True)
    (tree / "lower").write_text("from the host\n")
    return tree


def test_what_is_written_to_a_stopped_prefix_is_in_the_guest(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    prefix.stop()
    (prefix.path / "private/etc/planted").write_text("planted\n")
    prefix.boot()
    assert prefix.shell("cat", "/etc/planted").text == "planted\n"


def test_outside_the_namespace_the_prefix_is_its_upper_layer_alone(guest: Prefix) -> None:
    assert not (guest.path / "usr/sbin/sshd").exists()
    assert (guest.merged() / "usr/sbin/sshd").exists()


def test_the_server_s_root_shows_the_merged_tree_both_ways(guest: Prefix) -> None:
    guest.write("/private/tmp/by-guest", b"guest\n")
    assert (guest.merged() / "private/tmp/by-guest").read_text() == "guest\n"
    (guest.merged() / "private/tmp/by-host").write_text("host\n")
    assert guest.shell("cat", "/private/tmp/by-host").text == "host\n"


def test_a_file_replaced_through_the_namespace_is_replaced_for_the_guest(guest: Prefix) -> None:
    assert guest.shell("cat", "/etc/replaced").rc != 0
    for content in ("one\n", "two\n"):
        fresh = guest.merged() / "private/etc/replaced.new"
        fresh.write_text(content)
        fresh.rename(guest.merged() / "private/etc/replaced")
        assert guest.shell("cat", "/etc/replaced").text == content


def test_host_programs_run_in_the_namespace(root: Account, guest: Prefix) -> None:
    in_namespace(root, guest, "test", "-x", f"{guest.path}/usr/sbin/sshd")


def test_a_bind_mount_in_the_namespace_is_a_plain_directory(
    root: Account, own_guest: Prefix, host_tree: Path
) -> None:
    (own_guest.merged() / "nix/store").mkdir(parents=True)
    in_namespace(root, own_guest, "mount", "--bind", str(host_tree), f"{own_guest.path}/nix/store")
    assert own_guest.shell("cat", "/nix/store/lower").text == "from the host\n"
    assert not (own_guest.path / "nix/store/lower").exists()


def test_an_overlay_in_the_namespace_takes_what_the_guest_writes(
    root: Account, own_guest: Prefix, host_tree: Path
) -> None:
    user = own_guest.account
    upper, work = (own_guest.path.with_name(name) for name in ("upper", "work"))
    for directory in (upper, work):
        directory.mkdir()
        os.chown(directory, user.uid, user.gid)
    (own_guest.merged() / "nix/store").mkdir(parents=True)
    layers = f"lowerdir={host_tree},upperdir={upper},workdir={work}"
    in_namespace(root, own_guest, "mount", "-t", "overlay", "overlay", "-o", layers, f"{own_guest.path}/nix/store")

    own_guest.write("/nix/store/own", b"own\n")

    assert own_guest.shell("cat", "/nix/store/lower").text == "from the host\n"
    assert (upper / "own").read_text() == "own\n"
    assert not (host_tree / "own").exists()


def test_a_mount_made_before_the_boot_is_invisible(
    root: Account, account: Account, new_prefix: NewPrefix, host_tree: Path
) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    prefix.stop()
    point = prefix.path / "private/tmp"
    point.mkdir(parents=True, exist_ok=True)
    with bound(root, host_tree, point):
        prefix.boot()
        assert prefix.shell("cat", "/private/tmp/lower").rc != 0
        prefix.stop()


@contextmanager
def bound(root: Account, source: Path, target: Path) -> Iterator[None]:
    on_host(root, "mount", "--bind", str(source), str(target))
    try:
        yield
    finally:
        on_host(root, "umount", str(target))


def test_the_mounts_end_with_the_container(root: Account, own_guest: Prefix, host_tree: Path) -> None:
    (own_guest.merged() / "nix/store").mkdir(parents=True)
    in_namespace(root, own_guest, "mount", "--bind", str(host_tree), f"{own_guest.path}/nix/store")
    own_guest.stop()
    own_guest.boot()
    assert own_guest.shell("ls", "/nix/store").out == b""
    assert (host_tree / "lower").exists()
