"""The compat shim on a stock Darling: what is in force by each setting, where it reaches, and what goes without it.

The stand-in concludes from the dylib's symbols what it would do, and does it in Linux's way. That Darling's dyld
loads it, that its code does what its symbols promise, and that a program cannot tell, integration/stock alone shows.
"""

import time

import pytest

from darlingbuilder.core.shim import CORRECTIONS
from integration.standin.test_defects import shim_without
from integration.suite.equipment import Equipment
from integration.suite.site import PREFIX, UNIT, USER, Site

EVERY = sorted(CORRECTIONS)
SHIM = "/private/etc/darlingbuilder/compat.dylib"
LIBRARIES, LIST = "DYLD_INSERT_LIBRARIES", "DARLINGBUILDER_COMPAT"

# What a stock Darling breaks in builds: a link in the output, a pipeline whose reader ends first.
BUILD = """
  derivation { name = "sound"; system = "x86_64-darwin"; builder = "/bin/bash"; nonce = "%s";
    args = [ "-c" ''
      /bin/mkdir $out
      /usr/bin/yes | /usr/bin/head -1 > $out/first
      echo "''${PIPESTATUS[*]}" > $out/ended
      /bin/ln -s first $out/link
      /usr/bin/env > $out/environment
      exit 0
    '' ]; }
"""
SLOW = """
  derivation { name = "slow"; system = "x86_64-darwin"; builder = "/bin/sh"; nonce = "%s";
    args = [ "-c" "/bin/sleep 7; echo done > $out" ]; }
"""
ENVIRONMENTS = (
    f"until pgrep -u {USER} -f '^/bin/sleep 7' > /dev/null; do sleep 0.05; done; "
    "for name in '^nix-daemon' '^/bin/sleep 7'; do "
    f"tr '\\0' '\\n' < /proc/$(pgrep -o -u {USER} -f \"$name\")/environ; echo; echo end; done"
)


def in_force(site: Site) -> object:
    return site.status()[1]["corrections"]


def nonce() -> str:
    return str(time.monotonic_ns())


def main_pid(site: Site) -> str:
    return site.machine.run("systemctl", "show", "--property=MainPID", UNIT).stdout


def assert_builds(site: Site) -> None:
    out = site.build(BUILD % nonce()).stdout.strip()
    read = {name: site.machine.run("cat", f"{out}/{name}").stdout for name in ("link", "ended", "environment")}
    assert read["link"] == "y\n"
    assert read["ended"] == "141 0\n"
    assert "NIX_BUILD_TOP=" in read["environment"]
    assert not [name for name in (LIBRARIES, LIST) if name in read["environment"]]


def environments(site: Site) -> tuple[str, str]:
    """Give what nix-daemon and a build were started with, as the kernel has it: nobody hides anything there."""
    build = site.machine.popen(
        "nix-build", "--no-out-link", "--max-jobs", "0", "--expr", SLOW % nonce(), env={"NIX_REMOTE": "daemon"}
    )
    seen = site.machine.run("sh", "-c", ENVIRONMENTS, timeout=60).stdout
    _, said = build.communicate(timeout=60)
    assert build.returncode == 0, said.decode()
    daemon, builder, _ = seen.split("end\n")
    return daemon, builder


@pytest.fixture
def stand_in(equipment: Equipment) -> None:
    """What follows looks into the stand-in, or puts a shim into the guest that no real Darling could load."""
    if equipment.darling:
        pytest.skip("shown with the stand-in alone")


def test_by_itself_the_builder_corrects_what_a_stock_darling_gets_wrong(builder: Site) -> None:
    assert in_force(builder) == EVERY
    assert f"corrections in force: {', '.join(EVERY)}\n" in builder.tool("status").stdout
    builder.assert_healthy()
    assert_builds(builder)


def test_a_converged_init_leaves_it_at_that(builder: Site) -> None:
    before = main_pid(builder)
    assert "nothing was changed" in builder.tool("init").stdout
    assert main_pid(builder) == before


@pytest.mark.usefixtures("stand_in")
def test_sshd_and_nix_and_builds_are_started_with_the_shim(builder: Site) -> None:
    started = builder.machine.run("ps", "-eo", "args", "ww").stdout
    variables = f"{LIBRARIES}={SHIM} {LIST}={','.join(EVERY)}"
    assert f"/usr/bin/env {variables} /usr/sbin/sshd" in started
    assert f" {variables} -o" in started.partition("SetEnv=")[2]

    for seen in environments(builder):
        assert f"{LIBRARIES}={SHIM}\n" in seen
        assert f"{LIST}={','.join(EVERY)}\n" in seen

    # The session's own shell sees neither.
    seen = builder.machine.run("ssh", "darling-builder", "env").stdout
    assert "NIX_CONF_DIR=" in seen
    assert "DYLD" not in seen


def test_builds_can_be_left_without_it(builder: Site, equipment: Equipment) -> None:
    builder.set(compat_builds=False).tool("init")

    assert in_force(builder) == [name for name in EVERY if name != "spawn"]
    builder.assert_healthy()
    died = builder.build(BUILD % nonce(), check=False)
    assert died.rc != 0
    assert "signal 13" in died.stderr
    if not equipment.darling:
        daemon, builds = environments(builder)
        assert LIBRARIES in daemon
        assert LIBRARIES not in builds

    builder.set(compat_builds=True).tool("init")
    assert_builds(builder)


def test_never_fails_with_the_defects_name_and_the_remedy(builder: Site) -> None:
    failed = builder.set(compat="never").tool("init", check=False)

    assert failed.rc == 1
    assert "this Darling has a defect, and compat is never: every connection to its sshd over IPv4" in failed.stderr
    assert 'set compat = "auto", which corrects it' in failed.stderr
    started = builder.tool("start", check=False)
    assert (started.rc, "compat is never" in started.stderr) == (1, True)
    code, answer = builder.status()
    assert (code, answer["corrections"]) == (3, None)
    # systemd has tries left; between two of them, and after the last, nothing of the guest is there.
    builder.tool("stop")
    assert builder.machine.run("pgrep", "-l", "-u", USER, check=False).stdout == ""
    assert PREFIX not in builder.machine.run("cat", "/proc/self/mountinfo").stdout
    assert builder.machine.run("ls", f"{PREFIX}{SHIM}", check=False).rc != 0

    builder.set(compat="auto").tool("init")
    assert in_force(builder) == EVERY
    builder.assert_healthy()


def test_always_puts_all_in_force_without_looking_for_a_defect(builder: Site) -> None:
    before = main_pid(builder)
    builder.set(compat="always")
    assert "setting compat" in builder.drift()

    builder.tool("init")

    assert main_pid(builder) != before
    assert in_force(builder) == EVERY
    builder.assert_healthy()
    assert_builds(builder)
    builder.set(compat="auto").tool("init")


def test_a_setting_that_the_service_does_not_read_leaves_it_running(builder: Site) -> None:
    before = main_pid(builder)
    builder.set(speed_factor=2).tool("init")
    assert main_pid(builder) == before
    builder.assert_healthy(build=False)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("correction", "says"),
    [
        ("getsockopt", "banner"),
        ("proc_pidinfo", "the session's output holds more than was written to it"),
        # What Nix says where it is Linux's; Darwin's is «clearing flags of path».
        ("lchflags", "/link': Invalid argument"),
        ("signals", ""),
    ],
    ids=("getsockopt", "proc_pidinfo", "lchflags", "signals"),
)
def test_a_forgotten_correction_is_noticed_and_healed(builder: Site, correction: str, says: str) -> None:
    # given: in the running container, where each new session loads it
    replaced = f"cat > /proc/$(cat {PREFIX}/.init.pid)/root{PREFIX}{SHIM}"
    builder.machine.run("sh", "-c", replaced, stdin=shim_without(correction))

    # then: by name
    code, _ = builder.status()
    assert code == 3
    assert f"compat: {SHIM}: is another one than this darlingbuilder's" in builder.drift()
    if says:
        failed = builder.tool("test", check=False)
        assert failed.rc == 1
        assert says in failed.stdout + failed.stderr
    else:
        assert "signal 13" in builder.build(BUILD % nonce(), check=False).stderr

    # and healed
    builder.tool("init")
    assert in_force(builder) == EVERY
    builder.assert_healthy()
    assert_builds(builder)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("correction", ["getsockopt", "proc_pidinfo", "lchflags"])
def test_a_correction_that_does_not_cure_fails_the_start_by_the_defects_name(builder: Site, correction: str) -> None:
    meaning = {
        "getsockopt": "every connection to its sshd over IPv4 dies (IPv4)",
        "proc_pidinfo": "stray lines at the start of a session break Nix's protocols (stray lines)",
        "lchflags": "no output with a symbolic link can be registered (links)",
    }[correction]
    # given: the package itself has such a shim, and init takes it for the right one
    found = builder.machine.run(
        "/opt/darlingbuilder/bin/python", "-c", "from darlingbuilder.core import shim; print(shim.dylib())"
    )
    shipped = builder.file(found.stdout.strip())
    whole = shipped.read_bytes()
    shipped.write_bytes(shim_without(correction))
    try:
        failed = builder.tool("init", check=False)
    finally:
        shipped.write_bytes(whole)

    assert failed.rc == 1
    assert f"this Darling has a defect that its correction does not cure: {meaning}" in failed.stderr
    builder.tool("init")
    builder.assert_healthy()
