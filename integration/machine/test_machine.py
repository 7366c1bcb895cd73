import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.machine import (
    SUITES,
    CommandError,
    CommandTimeoutError,
    Machine,
    MachineError,
    Suite,
    cache,
    debian_root,
    differences,
    touched,
)
from integration.machine.commands import run, start
from integration.machine.disk import SCRATCH, sweep

TRIVIAL = """\
derivation {
  name = "greeting";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "echo hello > $out" ];
}
"""

INNER = """\
from pathlib import Path
from integration.machine import Machine, debian_root
with Machine.create(debian_root("trixie"), scratch=Path("/var/lib")) as machine:
    machine.boot(timeout=40)
    machine.reboot(timeout=40)
    print(machine.run("systemctl", "is-system-running").stdout, end="")
print(machine.leftovers())
"""

SLEEPER = """\
[Service]
ExecStart=/bin/sleep infinity
ExecStop=/bin/touch /var/lib/stopped
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module", params=SUITES)
def suite(request: pytest.FixtureRequest) -> Suite:
    chosen: Suite = request.param
    return chosen


@pytest.fixture(scope="module")
def machine(suite: Suite) -> Iterator[Machine]:
    with Machine.create(debian_root(suite)) as machine:
        machine.boot()
        yield machine
    assert machine.leftovers() == []


def test_systemd_is_up_and_no_unit_has_failed(machine: Machine) -> None:
    assert machine.run("systemctl", "is-system-running", check=False).stdout == "running\n"
    assert machine.run("cat", "/proc/1/comm").stdout == "systemd\n"


def test_dbus_answers(machine: Machine) -> None:
    owner = machine.run("busctl", "status", "org.freedesktop.systemd1").stdout
    assert "PID=1\n" in owner


def test_the_bus_can_be_reached_from_outside(machine: Machine) -> None:
    bus = machine.path("/run/dbus/system_bus_socket")
    reply = run(
        ("busctl", f"--address=unix:path={bus}", "get-property", "org.freedesktop.systemd1",
         "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "Version"),
    )  # fmt: skip
    assert reply.stdout.startswith('s "')


def test_the_journal_keeps_what_a_unit_says(machine: Machine) -> None:
    machine.run("systemd-run", "--wait", "--unit=speaker", "/bin/echo", "it was me")
    assert "it was me" in machine.journal("speaker.service")


def test_no_ssh_server_runs(machine: Machine) -> None:
    for unit in ("ssh.service", "ssh.socket"):
        assert machine.run("systemctl", "is-enabled", unit, check=False).stdout == "masked\n"
    # nor anything else that the host could be confused with
    assert machine.run("ss", "--no-header", "--listening", "--tcp").stdout == ""


def test_the_network_is_its_own_and_loopback_is_up(machine: Machine) -> None:
    links = machine.run("ip", "--brief", "link").stdout.splitlines()
    assert [line.split()[0] for line in links if "UP" in line] == ["lo"]
    machine.run("python3", "-c", "import socket; socket.create_server(('127.0.0.1', 2222))")


def test_the_nix_daemon_builds_as_a_build_user(machine: Machine) -> None:
    output = machine.run("nix-build", "--expr", TRIVIAL, "--no-out-link", env={"NIX_REMOTE": "daemon"})
    assert machine.path(output.stdout.strip()).read_text() == "hello\n"


def test_every_library_of_the_tool_can_be_imported(machine: Machine) -> None:
    modules = "cryptography, jinja2, msgspec, plumbum, prometheus_client, rich, structlog, pystemd.systemd1"
    machine.run("python3", "-c", f"import {modules}")


def test_pystemd_reaches_the_manager(machine: Machine) -> None:
    script = "from pystemd.systemd1 import Manager; m = Manager(); m.load(); print(m.Manager.SystemState)"
    assert machine.run("python3", "-c", script).stdout == "b'running'\n"


def test_the_plain_directories_can_hold_an_overlay(machine: Machine) -> None:
    machine.run("mkdir", "--parents", "/var/lib/prefix/upper", "/var/lib/prefix/work", "/var/lib/prefix/merged")
    machine.run(
        "unshare", "--mount", "mount", "-t", "overlay",
        "-o", "lowerdir=/usr,upperdir=/var/lib/prefix/upper,workdir=/var/lib/prefix/work",
        "overlay", "/var/lib/prefix/merged",
    )  # fmt: skip
    machine.run("rm", "--recursive", "/var/lib/prefix")


def test_a_command_gets_its_user_environment_and_stdin_and_nothing_else(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIX_PATH", "leaked")
    machine.run("useradd", "--create-home", "somebody")
    said = machine.run(
        "sh", "-c", "id -un; pwd; env; cat", user="somebody", env={"A": "b"}, stdin="words", cwd="/usr"
    )
    assert said.stdout.startswith("somebody\n/usr\n")
    assert said.stdout.endswith("words")
    variables = set(said.stdout.splitlines())
    assert {"A=b", "HOME=/home/somebody", "USER=somebody"} <= variables
    assert not any(line.startswith("NIX_PATH") for line in variables)


def test_an_unknown_user_is_refused(machine: Machine) -> None:
    with pytest.raises(MachineError, match="no user 'nobodyatall'"):
        machine.run("true", user="nobodyatall")


def test_a_failure_carries_all_that_was_printed(machine: Machine) -> None:
    with pytest.raises(CommandError, match=r"(?s)exit code 7.*to stdout.*to stderr") as failure:
        machine.run("sh", "-c", "echo to stdout; echo to stderr >&2; exit 7")
    assert failure.value.completed.rc == 7
    assert machine.run("sh", "-c", "exit 7", check=False).rc == 7


def test_a_signal_is_told_from_an_exit_code(machine: Machine) -> None:
    assert machine.run("sh", "-c", "kill -TERM $$", check=False).rc == -15


def test_a_timeout_kills_even_what_has_become_a_daemon(machine: Machine) -> None:
    script = "setsid sleep 1234 & echo begun; exec sleep 4321"
    with pytest.raises(CommandTimeoutError, match="begun"):
        machine.run("sh", "-c", script, timeout=0.5)
    # What is dead is still listed until the machine's systemd has reaped it.
    machine.run("sh", "-c", "while pgrep sleep; do :; done", timeout=10)


def test_a_daemon_left_by_a_command_that_has_ended_lives_on(machine: Machine) -> None:
    machine.run("sh", "-c", "setsid sleep 777 >/dev/null 2>&1 &")
    assert machine.run("pgrep", "--full", "sleep 777").stdout != ""
    machine.run("pkill", "--full", "sleep 777")


def test_popen_talks_to_a_running_command(machine: Machine) -> None:
    with machine.popen("cat") as process:
        out, _ = process.communicate(b"there and back", timeout=10)
    assert out == b"there and back"


@pytest.mark.parametrize("user", [None, "daemon"])
def test_a_command_that_was_started_can_be_killed(machine: Machine, user: str | None) -> None:
    with machine.popen("sh", "-c", "echo begun; exec sleep 555", user=user) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.kill()
        # Its streams close only when the command itself is gone.
        assert process.communicate(timeout=10) == (b"", b"")


def test_a_path_leads_to_the_machines_own_file(machine: Machine) -> None:
    machine.path("/etc/note").write_text("from outside\n")
    assert machine.run("cat", "/etc/note").stdout == "from outside\n"
    assert not Path("/etc/note").exists()
    machine.path("/etc/note").unlink()


def test_a_snapshot_sees_what_is_new_changed_and_gone(machine: Machine) -> None:
    machine.run("sh", "-c", "echo one > /etc/kept; echo one > /var/lib/changed; echo one > /nix/gone")
    before = machine.tree()

    machine.run("sh", "-c", "echo two > /var/lib/changed; rm /nix/gone; ln -s here /srv/new; touch /etc/kept")

    after = machine.tree()
    assert [line.split()[:2] for line in differences(before, after)] == [
        ["-", "/nix/gone"],
        ["+", "/srv/new"],
        ["~", "/var/lib/changed"],
    ]
    assert {"/etc/kept", "/var/lib/changed"} <= set(touched(before, after))
    machine.run("rm", "/etc/kept", "/var/lib/changed", "/srv/new")


def test_a_reboot_ends_every_process_and_changes_no_file(machine: Machine) -> None:
    machine.run("sh", "-c", "echo kept > /etc/kept; echo kept > /var/lib/kept; setsid sleep 888 >/dev/null 2>&1 &")
    before = machine.tree()
    boot_id = machine.run("journalctl", "--list-boots", "--no-pager").stdout
    pid1 = machine.pid1

    machine.reboot()

    assert machine.pid1 != pid1
    assert machine.run("journalctl", "--list-boots", "--no-pager").stdout != boot_id
    assert machine.run("pgrep", "sleep", check=False).rc == 1
    assert differences(before, machine.tree()) == []


def test_what_is_enabled_starts_at_the_next_boot_and_is_stopped_in_good_order(machine: Machine) -> None:
    machine.path("/etc/systemd/system/sleeper.service").write_text(SLEEPER)
    machine.run("systemctl", "enable", "sleeper.service")

    machine.cut_power()
    machine.boot()

    assert machine.run("systemctl", "is-active", "sleeper.service").stdout == "active\n"
    assert not machine.path("/var/lib/stopped").exists()
    machine.shut_down()
    assert machine.path("/var/lib/stopped").exists()
    machine.boot()
    machine.run("systemctl", "disable", "--now", "sleeper.service")


def test_the_machine_can_switch_itself_off(machine: Machine) -> None:
    machine.run("systemctl", "poweroff", check=False)
    machine.shut_down()
    assert not machine.up
    with pytest.raises(MachineError, match="boot\\(\\) it first"):
        machine.run("true")
    machine.boot()


def test_the_real_kernels_settings_are_out_of_reach(machine: Machine) -> None:
    assert machine.run("sh", "-c", "echo 1 > /proc/sys/kernel/panic", check=False).rc != 0


def test_layers_and_binds_are_where_they_were_asked_for(tmp_path: Path) -> None:
    layer, shared, frozen = tmp_path / "layer", tmp_path / "shared", tmp_path / "frozen"
    (layer / "var/lib/seeded").mkdir(parents=True)
    (layer / "etc").mkdir()
    (layer / "etc/layered").write_text("by the layer\n")
    shared.mkdir()
    frozen.write_text("as it was\n")
    with Machine.create(
        debian_root("trixie"),
        layers=[layer],
        binds={"/srv/shared": shared},
        read_only_binds={"/srv/frozen": frozen},
    ) as machine:
        machine.boot()
        assert machine.run("cat", "/etc/layered", "/srv/frozen").stdout == "by the layer\nas it was\n"
        assert machine.path("/var/lib/seeded").is_dir()
        machine.run("sh", "-c", "echo out > /srv/shared/report; rm /etc/layered")
        assert machine.run("sh", "-c", "echo x > /srv/frozen", check=False).rc != 0
        assert "/srv/shared" not in machine.tree()
    assert (shared / "report").read_text() == "out\n"
    assert (layer / "etc/layered").exists()


def test_closing_leaves_nothing_behind() -> None:
    with Machine.create(debian_root("trixie")) as machine:
        machine.boot()
        machine.run("sh", "-c", "setsid sleep 999 >/dev/null 2>&1 &")
        machine.run("systemd-run", "sleep", "998")
        kinds = {line.split()[0] for line in machine.leftovers()}
        assert kinds == {"directory", "cgroup", "process"}
    assert machine.leftovers() == []


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory whose name is short: a machine has sockets below it."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as directory:
        yield Path(directory)


def test_a_machine_whose_owner_was_killed_dies_with_it_and_is_swept(scratch: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from integration.machine import Machine, debian_root;"
        f"machine = Machine.create(debian_root('trixie'), scratch=Path({str(scratch)!r})); machine.boot();"
        "print(machine.disk.directory, machine.pid1, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with start((sys.executable, "-c", script), cwd=Path(__file__).parents[2]) as owner:
        out, err = owner.communicate(timeout=60)
    assert out, err.decode()
    directory, pid1 = out.decode().split()
    assert Path(directory).exists()

    assert sweep(scratch) == [Path(directory)]

    assert not Path(directory).exists()
    deadline = time.monotonic() + 10
    while _alive(pid1) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(pid1)
    assert directory not in Path("/proc/self/mountinfo").read_text()
    assert sweep(scratch) == []


def test_a_machine_in_use_is_not_swept(tmp_path: Path) -> None:
    with Machine.create(debian_root("trixie"), scratch=tmp_path) as machine:
        assert sweep(tmp_path) == []
        assert machine.path("/etc").is_dir()


def test_a_host_run_by_systemd_with_cgroup2_alone_can_have_machines() -> None:
    binds = {"/srv/project": Path(__file__).parents[2], "/srv/cache/darlingbuilder": cache.home()}
    with Machine.create(debian_root("trixie"), read_only_binds=binds) as host:
        host.boot()
        assert host.run("stat", "--file-system", "--format=%T", "/sys/fs/cgroup").stdout == "cgroup2fs\n"
        said = host.run(
            "python3", "-B", "-c", INNER,
            cwd="/srv/project", env={"XDG_CACHE_HOME": "/srv/cache"}, timeout=180,
        ).stdout  # fmt: skip
        assert said == "running\n[]\n"
    assert host.leftovers() == []


def test_a_boot_that_hangs_is_reported_with_the_job_and_the_journal() -> None:
    with Machine.create(debian_root("trixie")) as machine:
        machine.path("/etc/systemd/system/sleeper.service").write_text(
            SLEEPER.replace("[Install]", "Type=oneshot\n[Install]")
        )
        wants = machine.path("/etc/systemd/system/multi-user.target.wants")
        (wants / "sleeper.service").symlink_to("/etc/systemd/system/sleeper.service")
        with pytest.raises(MachineError, match=r"(?s)sleeper.service +start running.*systemd"):
            machine.boot(timeout=2)
        with pytest.raises(MachineError, match="up already"):
            machine.boot()


def test_a_machine_without_systemd_is_reported_as_dead() -> None:
    with Machine.create(debian_root("trixie")) as machine:
        machine.path("/usr/lib/systemd/systemd").unlink()
        with pytest.raises(MachineError, match=r"(?s)it died.*No such file"):
            machine.boot()


def test_a_disk_that_cannot_be_mounted_is_explained_and_removed(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk could not be mounted"):
        Machine.create(tmp_path / "no such root", scratch=tmp_path)
    assert list(tmp_path.glob("darlingbuilder-machine-*")) == []


def _alive(pid: str) -> bool:
    # A zombie is not: the host's init has inherited it, and takes its time.
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
