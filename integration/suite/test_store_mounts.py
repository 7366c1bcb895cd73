"""The host's store under the guest's: mounts that let an ordinary user write, change nothing below, and vanish."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration.machine.commands import Completed, run
from integration.machine.filesystem import mounted
from integration.machine.roots import debian_root
from integration.suite.equipment import Equipment
from integration.suite.sharing import guest
from integration.suite.site import PREFIX, STATE, UNIT, USER, Site

STORE = "/nix/store"
UPPER = f"{STATE}/nix/store"
OWN = "/private/etc/darlingbuilder/own/nix/store"
PYTHON = "/opt/darlingbuilder/bin/python"
OVERLAY = " - overlay darlingbuilder "
PREREQUISITE, CONFIG = 5, 4
INPUT = """
  derivation { name = "%s"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo %s > $out" ]; }
"""
# Speaks with the container that runs, as darlingbuilder itself does.
REFRESH = """
from pathlib import Path
from darlingbuilder.adapters.real import world
from darlingbuilder.core.settings import Settings
world(Settings(darling="{launcher}")).darling.refresh(Path("/nix/store"))
"""
# Boots a container whose store is the host's own, and tries to prove that all is well.
HOSTS_OWN = """
from pathlib import Path
from darlingbuilder.adapters.real import world
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import deadlock
from darlingbuilder.steps.store import Store
settings = Settings(darling="{launcher}")
machine = world(settings)
with open("/tmp/boot.log", "wb") as log:
    machine.darling.boot(log)
Store(settings, machine).mount()
deadlock.prove(settings, machine)
machine.darling.mount(Path("/nix/store"), Path("/nix/store"))
try:
    deadlock.prove(settings, machine)
except DarlingError as error:
    print("refused:", error)
finally:
    machine.darling.shutdown()
"""


@pytest.fixture(scope="module")
def shared(site: Site) -> Site:
    """A machine with a builder over its store."""
    site.set(store="overlay").tool("init")
    return site


def host_path(site: Site, name: str) -> str:
    """Have the host build something, and give its path."""
    built = site.machine.run(
        "nix-build", "--no-out-link", "--expr", INPUT % (name, name), env={"NIX_REMOTE": "daemon"}
    )
    return built.stdout.strip()


def shell(site: Site, script: str) -> Completed:
    """Run a script in the guest."""
    return site.tool("shell", "/bin/sh", "-c", script, check=False)


def hashed(site: Site) -> dict[str, tuple[int, int, int, str]]:
    """Give mode, owner, time and content of all that is in the host's store, but for its own directory's time."""
    root = site.file(STORE)
    found = {}
    for path in sorted(root.rglob("*")):
        at = path.lstat()
        what = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(root))] = (
            at.st_mode, at.st_uid, at.st_mtime_ns, hashlib.sha256(what).hexdigest()
        )  # fmt: skip
    return found


def overlays(site: Site) -> list[str]:
    """Give the mount points of our overlays in every namespace of the machine, each once a namespace."""
    script = (
        'for pid in /proc/[0-9]*; do echo "$(readlink $pid/ns/mnt) $pid"; done | sort -u -k1,1 | '
        f"while read -r _ pid; do grep -e '{OVERLAY}' $pid/mountinfo; done 2>/dev/null"
    )
    return [line.split()[4] for line in site.machine.run("sh", "-c", script, check=False).stdout.splitlines()]


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_a_builder_over_the_hosts_store_is_healthy(shared: Site) -> None:
    shared.assert_healthy()
    assert overlays(shared) == [f"{PREFIX}{STORE}"]


def test_the_guest_sees_a_path_of_the_host_and_writes_beside_it(shared: Site) -> None:
    path = host_path(shared, "seen")
    before = hashed(shared)

    assert shell(shared, "id -u").stdout.strip() != "0"
    assert shell(shared, f"cat {path}").stdout == "seen\n"
    assert shell(shared, f"echo own > {STORE}/written && cat {STORE}/written").stdout == "own\n"
    assert shell(shared, f"chmod u+w {path} && echo more >> {path}; cat {path}").stdout == "seen\nmore\n"
    assert shell(shared, f"rm -f {path} {STORE}/written; ls {path}").rc != 0

    assert hashed(shared) == before
    assert shared.machine.run("cat", path).stdout == "seen\n"
    assert not shared.file(f"{STORE}/written").exists()
    # What the guest has deleted is hidden by a whiteout.
    assert shared.file(f"{UPPER}/{Path(path).name}").is_char_device()


def test_in_its_own_view_the_guest_sees_its_own_paths_alone(shared: Site) -> None:
    path = Path(host_path(shared, "not-its-own"))

    assert path.name in shell(shared, f"ls {STORE}").stdout
    own = shell(shared, f"ls {OWN}").stdout
    assert path.name not in own
    assert "nix-" in own
    assert shell(shared, f"echo x > {OWN}/x && rm {OWN}/x").rc == 0
    assert "denied" in shell(shared, "ls /nix/.overlay").stderr


def test_a_lock_of_the_hosts_is_locked_in_another_file(shared: Site) -> None:
    # given: root's, with mode 0600, and held, as by a build
    lock = f"{STORE}/0000-some-output.lock"
    held = shared.machine.popen("sh", "-c", f"umask 077; exec 9>{lock}; flock 9; echo held; cat")
    assert held.stdout is not None
    assert held.stdout.readline() == b"held\n"
    # when
    locked = shell(shared, f"(flock --nonblock 8 && echo locked) 8<>{lock}")
    # then
    assert "locked" in locked.stdout, locked.stderr
    assert shared.file(lock).stat().st_uid == 0
    inside = shared.file(f"{UPPER}/{Path(lock).name}")
    assert inside.stat().st_ino != shared.file(lock).stat().st_ino
    held.communicate(b"", timeout=10)
    shell(shared, f"rm {lock}")
    shared.file(lock).unlink()


def test_what_was_looked_up_in_vain_is_there_after_a_refresh(shared: Site) -> None:
    late = f"{STORE}/0000-late"
    assert shell(shared, f"cat {late}").rc != 0
    shared.file(late).write_text("late\n")
    assert shell(shared, f"cat {late}").rc != 0, "this kernel has no need of it"

    shared.machine.run(PYTHON, "-c", REFRESH.format(launcher=shared.launcher))

    assert shell(shared, f"cat {late}").stdout == "late\n"
    shared.file(late).unlink()


def test_nothing_of_the_proof_is_left_and_what_an_interrupted_one_left_is_swept(shared: Site) -> None:
    left = ".darlingbuilder-0123456789abcdef.lock"
    for store in (STORE, UPPER):
        shared.file(f"{store}/{left}").touch()

    shared.tool("restart")

    for store in (STORE, UPPER):
        assert [path.name for path in shared.file(store).glob(".darlingbuilder-*")] == []


def test_a_store_that_is_mounted_read_only_as_on_nixos_is_shared_as_well(shared: Site) -> None:
    shared.machine.run("sh", "-c", f"mount --bind {STORE} {STORE} && mount -o remount,bind,ro {STORE}")
    before = hashed(shared)

    shared.tool("restart")
    shared.assert_healthy(build=False)

    assert shell(shared, f"echo own > {STORE}/written && rm {STORE}/written").rc == 0
    assert hashed(shared) == before
    assert shared.machine.run("touch", f"{STORE}/x", check=False).rc != 0, "it is still read-only"
    shared.machine.run("umount", STORE)


def test_after_a_reboot_all_is_as_before(shared: Site) -> None:
    path = host_path(shared, "rebooted")
    shell(shared, "echo own > /tmp/kept")
    kept = guest(shared, "--add", "/tmp/kept").strip().splitlines()[-1]  # noqa: S108 - the guest has it to itself

    shared.machine.reboot()

    shared.assert_healthy()
    assert shell(shared, f"cat {path} {kept}").stdout == "rebooted\nown\n"
    assert overlays(shared) == [f"{PREFIX}{STORE}"]


@pytest.mark.parametrize("victim", ["serve", "server"])
def test_a_builder_that_is_killed_comes_back_over_the_store(shared: Site, victim: str) -> None:
    pid = {
        "serve": f"$(systemctl show --property=MainPID --value {UNIT})",
        "server": f"$(cat {PREFIX}/.init.pid)",
    }[victim]
    restarts = shared.status()[1]["restarts"]
    shared.machine.run("sh", "-c", f"kill -KILL {pid}")

    assert until(lambda: shared.status()[1]["restarts"] > restarts)
    assert until(lambda: shared.status()[0] == 0), shared.drift()
    assert overlays(shared) == [f"{PREFIX}{STORE}"]
    shared.assert_healthy()


def test_an_overlay_that_somebody_has_taken_away_is_named_and_made_again(shared: Site) -> None:
    shared.machine.run("sh", "-c", f"nsenter --mount --target $(cat {PREFIX}/.init.pid) umount -l {PREFIX}{STORE}")

    assert "an overlay over the host's store is not mounted there" in shared.drift()
    shared.tool("init")

    assert overlays(shared) == [f"{PREFIX}{STORE}"]
    shared.assert_healthy(build=False)


def test_a_stopped_builder_leaves_no_mount(shared: Site) -> None:
    shared.tool("stop")

    assert overlays(shared) == []
    assert shared.machine.run("sh", "-c", f"grep -l {PREFIX} /proc/*/mountinfo", check=False).stdout == ""
    shared.tool("start")


def test_from_mode_to_mode_and_back(shared: Site) -> None:
    before = hashed(shared)
    # The guest leaves whiteouts for locks.
    shell(shared, f"rm -f {host_path(shared, 'whiteout')}")
    for mode in ("copy", "symlink", "overlay", "symlink", "copy", "overlay"):
        shared.set(store=mode).tool("init")
        assert "nothing was changed" in shared.tool("init").stdout
        if mode == "symlink":
            assert shared.status()[0] == 0, shared.drift()
        else:
            shared.assert_healthy()
        assert bool(overlays(shared)) is (mode == "overlay")
        assert shared.file(f"{STATE}/nix/.overlay").exists() is (mode == "overlay")
        if mode != "overlay":
            assert [path.name for path in shared.file(UPPER).iterdir() if path.is_char_device()] == []
    after = hashed(shared)
    assert {name: entry for name, entry in after.items() if name in before} == before


def test_over_a_link_the_guest_runs_the_hosts_programs_and_builds_are_off(shared: Site) -> None:
    program = host_path(shared, "program")
    # Debian's own directory is a store of root's: nobody else can write there.
    initialised = shared.set(store="symlink").tool("init")

    assert 'store = "symlink"' in initialised.stderr
    assert shell(shared, f"cat {program}").stdout == "program\n"
    assert shell(shared, f"touch {STORE}/x").rc != 0
    tested = shared.tool("test", check=False)
    assert tested.rc == CONFIG
    assert "has no Nix of its own" in tested.stderr
    assert "note  builds" in shared.tool("status").stdout
    assert not shared.file("/etc/nix/darling-builder.machines").exists()
    shared.set(store="overlay").tool("init")
    shared.assert_healthy()


def test_a_guest_whose_store_is_the_hosts_own_is_refused(shared: Site) -> None:
    shared.set(store="copy").tool("init")
    shared.tool("stop")
    before = hashed(shared)

    said = shared.machine.run(PYTHON, "-c", HOSTS_OWN.format(launcher=shared.launcher))

    assert said.stdout.startswith("refused: the guest's /nix/store is the host's own: a lock (fcntl and flock)")
    assert hashed(shared) == before
    shared.set(store="overlay").tool("init")


def test_the_hosts_store_bound_on_the_builders_is_never_emptied(shared: Site) -> None:
    shared.tool("stop")
    before = hashed(shared)
    shared.machine.run("mount", "--bind", "/nix", f"{STATE}/nix")

    refused = shared.tool("init", check=False)

    assert refused.rc == 1
    assert "is the host's own" in refused.stderr
    assert hashed(shared) == before
    shared.machine.run("umount", f"{STATE}/nix")
    shared.tool("init")
    shared.assert_healthy(build=False)


def test_a_store_that_cannot_be_shared_is_refused_before_anything_is_changed(shared: Site) -> None:
    shared.machine.run("sh", "-c", "systemctl stop nix-daemon.socket nix-daemon.service; mkdir /var/lib/over{1,2}")
    shared.machine.run("mkdir", "-p", "/var/lib/over/upper", "/var/lib/over/work")
    options = "lowerdir=/nix,upperdir=/var/lib/over/upper,workdir=/var/lib/over/work"
    shared.machine.run("mount", "-t", "overlay", "-o", options, "overlay", "/nix")
    try:
        refused = shared.tool("init", check=False)
        assert refused.rc == PREREQUISITE
        assert "store: /nix/store on overlay cannot be an overlay's lower layer" in refused.stderr
        assert '"copy"' in refused.stderr
        assert "/nix/store on overlay" in shared.tool("doctor", check=False).stdout
    finally:
        shared.machine.run("umount", "-l", "/nix")
        shared.machine.run("systemctl", "start", "nix-daemon.socket")


@contextmanager
def machine_on(equipment: Equipment, kind: str) -> Iterator[Site]:
    """Give a machine whose /nix and whose builder lie on a file system of ``kind``."""
    with mounted(kind) as disk:
        for part in ("nix", "state"):
            (disk / part).mkdir()
        run(("cp", "--archive", f"{debian_root('trixie')}/nix/.", str(disk / "nix")), timeout=60)
        made = equipment.machine("trixie", disks={"/nix": disk / "nix", STATE: disk / "state"})
    with made as machine:
        machine.boot()
        yield equipment.site(machine)
    assert machine.leftovers() == []


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_on_other_file_systems_it_is_the_same(equipment: Equipment, kind: str) -> None:
    with machine_on(equipment, kind) as site:
        assert site.machine.run("stat", "--file-system", "--format=%T", STATE).stdout.strip() == kind
        site.set(store="overlay").tool("init")
        site.assert_healthy()
        path = host_path(site, "elsewhere")
        before = hashed(site)

        assert f"/nix/store on {kind} can be shared" in site.tool("doctor", check=False).stdout
        assert shell(site, f"cat {path} && chmod u+w {path} && echo own >> {path}").stdout == "elsewhere\n"
        assert shell(site, f"cat {path}").stdout == "elsewhere\nown\n"
        assert hashed(site) == before
        assert site.file(f"{UPPER}/{Path(path).name}").read_text() == "elsewhere\nown\n"
        site.tool("uninstall", "--purge")
        assert overlays(site) == []
        assert list(site.file(STATE).iterdir()) == []


def test_a_builder_that_is_gone_has_left_the_store_as_it_was(shared: Site) -> None:
    before = hashed(shared)

    shared.tool("uninstall", "--purge")

    assert overlays(shared) == []
    assert not shared.file(STATE).exists()
    assert {name: entry for name, entry in hashed(shared).items() if name in before} == before
    assert shared.machine.run("pgrep", "-u", USER, check=False).stdout == ""
