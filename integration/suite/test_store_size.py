"""A limit for the store, on a machine with loop devices: kept, raised, lifted, and what is free in it counts."""

import pytest

from integration.suite.site import STATE, UNIT, Site
from integration.suite.storage import built_in_guest, give_e2fsprogs, give_loop_devices, path_of, tree_on_host

pytestmark = pytest.mark.parametrize("machine", ["trixie"], indirect=True, scope="module")


FREES = """derivation {
  name = "frees-%s";
  system = "x86_64-darwin";
  builder = "/bin/sh";
  args = [ "-c" "echo x > $out; exit 0" ];
}"""


@pytest.fixture(scope="module")
def used(builder: Site) -> Site:
    """A builder on a machine that can mount a file system in a file."""
    give_e2fsprogs(builder.machine)
    give_loop_devices(builder.machine)
    return builder


def test_a_build_that_exceeds_store_size_fails_and_the_host_loses_nothing(used: Site) -> None:
    kept = path_of(built_in_guest(used, "kept"))
    used.set(store_size="300M").tool("init")
    used.assert_healthy()
    assert used.file(f"{STATE}{kept}").exists()
    assert used.status()[1]["store"]["free"] < 300 * 2**20
    assert "nothing was changed" in used.tool("init").stdout

    # It stays within its bounds, whatever it takes.
    failed = built_in_guest(
        used, "too-large", script="/usr/bin/head -c 400000000 /dev/zero > $out || exit 1", check=False
    )

    assert failed.rc != 0
    assert "No space left on device" in failed.stderr
    used.assert_healthy()
    image = used.machine.run("stat", "--format=%s %b", f"{STATE}/nix.img").stdout.split()
    assert int(image[0]) == 300 * 2**20
    assert int(image[1]) * 512 <= 310 * 2**20


def test_the_limit_can_be_raised(used: Site) -> None:
    before = used.status()[1]["store"]["free"]
    used.set(store_size="600M").tool("init")
    assert used.status()[1]["store"]["free"] > before + 250 * 2**20
    refused = used.set(store_size="400M").tool("init", check=False)
    assert (refused.rc, "cannot shrink" in refused.stderr) == (4, True)
    used.set(store_size="600M").tool("init")


def test_garbage_is_collected_by_what_the_store_s_own_file_system_has_free(used: Site) -> None:
    used.set(min_free="400M", max_free="450M").tool("init")
    garbage = tree_on_host(used, "garbage", files=15, kilobytes=10_000)
    used.tool("push", garbage)
    assert used.status()[1]["store"]["free"] < 400 * 2**20

    assert "running auto-GC" in used.build(FREES % "first").stderr
    # Nix collects beside a build, and stops when its client goes: what is not done by then is the next one's.
    for build in range(10):
        if used.status()[1]["store"]["free"] > 400 * 2**20:
            break
        used.build(FREES % build)
    assert used.status()[1]["store"]["free"] > 400 * 2**20
    used.assert_healthy()


def test_after_a_reboot_the_store_is_where_it_was(used: Site) -> None:
    kept = path_of(built_in_guest(used, "rebooted"))
    used.machine.reboot()
    give_loop_devices(used.machine)
    used.tool("init")
    used.assert_healthy()
    assert used.file(f"{STATE}{kept}").exists()


def test_before_its_first_start_after_a_reboot_the_store_is_kept_put_back_and_emptied_as_a_whole(used: Site) -> None:
    kept = path_of(built_in_guest(used, "unmounted"))
    go_down(used)
    used.machine.reboot()
    give_loop_devices(used.machine)
    assert not used.file(f"{STATE}{kept}").exists()

    used.tool("snapshot", "create", "unmounted")
    assert used.file(f"{STATE}/snapshots/unmounted/nix-store.tar.zst").exists()
    used.machine.run("umount", f"{STATE}/nix")
    used.tool("snapshot", "restore", "unmounted")
    used.machine.run("umount", f"{STATE}/nix")
    used.tool("init")
    used.assert_healthy()
    assert used.file(f"{STATE}{kept}").exists()

    go_down(used)
    used.machine.run("umount", f"{STATE}/nix")
    used.tool("reset", "--yes")
    used.assert_healthy()
    assert not used.file(f"{STATE}{kept}").exists()
    used.tool("snapshot", "delete", "unmounted")


def go_down(used: Site) -> None:
    """Have nothing start the builder, after a reboot either."""
    used.tool("stop")
    used.machine.run("systemctl", "disable", UNIT)


def test_the_limit_can_be_lifted(used: Site) -> None:
    kept = path_of(built_in_guest(used, "lifted"))
    used.configure().tool("init")
    used.assert_healthy()
    assert used.file(f"{STATE}{kept}").exists()
    assert not used.file(f"{STATE}/nix.img").exists()
    assert f"{STATE}/nix" not in used.machine.run("cat", "/proc/self/mountinfo").stdout


def test_an_uninstall_of_a_limited_store_leaves_nothing(used: Site) -> None:
    used.configure(store_size="300M").tool("init")
    used.tool("uninstall", "--purge")
    assert not used.file(STATE).exists()
    assert STATE not in used.machine.run("cat", "/proc/self/mountinfo").stdout
    assert used.machine.journal(UNIT)


@pytest.mark.parametrize("store_size", ["300M", "0"])
def test_a_builder_whose_state_is_a_link_to_another_disk_lives_and_goes_like_any_other(
    used: Site, store_size: str
) -> None:
    disk = "/var/lib/other-disk"
    used.tool("uninstall", "--purge")
    used.machine.run("sh", "-ec", f"mkdir {disk}; ln -sT {disk} {STATE}")
    used.configure(store_size=store_size).tool("init")
    used.assert_healthy(build=store_size == "0")
    assert "nothing was changed" in used.tool("init").stdout

    used.tool("stop")
    assert not [row for row in mounted(used) if f"{disk}/guest" in row]
    used.tool("start")
    used.tool("uninstall", "--purge")

    assert [row for row in mounted(used) if disk in row] == []
    assert list(used.file(disk).iterdir()) == []
    used.machine.run("sh", "-ec", f"rm {STATE}; rmdir {disk}")


def mounted(site: Site) -> list[str]:
    """Give what is mounted for any process of the machine."""
    seen = site.machine.run("sh", "-c", "cat /proc/[0-9]*/mountinfo 2>/dev/null | sort -u", check=False)
    return seen.stdout.splitlines()
