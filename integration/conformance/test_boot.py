"""What a boot does to its caller and to the prefix."""

import os
import resource
import select
import time
from pathlib import Path

from . import processes
from .defect import Defect
from .launcher import BOOT_SECONDS, NewPrefix, Prefix
from .processes import Account

WARM_SECONDS = 1.0
AT_ONCE = 100
AT_ONCE_SECONDS = 60
HELD_SECONDS = 3.0
FEW_FILES = 200


def test_the_server_names_its_prefix(guest: Prefix) -> None:
    pid = guest.server()
    assert processes.name(pid) == "darlingserver"
    assert str(guest.path) in processes.command_line(pid)
    assert processes.owner(pid) == guest.account.uid


def test_the_prefix_is_the_upper_layer_of_an_overlay_by_the_name_it_was_given(guest: Prefix) -> None:
    # By that its processes are told from those of everybody else.
    table = Path(f"/proc/{guest.server()}/mountinfo").read_bytes().decode(errors="replace")
    rows = [row.partition(" - ")[2].split() for row in table.splitlines() if f" {guest.path.resolve()} " in row]
    assert [row[0] for row in rows] == ["overlay"]
    assert f"upperdir={guest.path}" in rows[0][2].split(",")


def test_output_that_is_captured_at_boot_is_held_open(
    account: Account, new_prefix: NewPrefix, defect: Defect
) -> None:
    prefix = new_prefix(account)
    ours, theirs = os.pipe()
    client = prefix.start("shell", "true", streams=(processes.NOWHERE, theirs, theirs))
    os.close(theirs)
    assert client.wait(BOOT_SECONDS) == 0
    defect(not _ends(ours), stated=True, mended=False)
    os.close(ours)


def _ends(pipe: int) -> bool:
    """Tell whether the last writer of a pipe goes away in time."""
    limit = time.monotonic() + HELD_SECONDS
    while (left := limit - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0] and not os.read(pipe, 65536):
            return True
    return False


def test_a_boot_prints_noise_on_stdout(account: Account, new_prefix: NewPrefix, defect: Defect) -> None:
    outcome = new_prefix(account).boot()
    # A real one buffers the line and loses it at its exec, unless stdout is a terminal.
    defect(bool(outcome.out), stated=True, mended=False)


def test_a_warm_call_is_quick_and_silent(guest: Prefix) -> None:
    guest.shell("true")
    outcome = guest.shell("true")
    assert (outcome.rc, outcome.said) == (0, "")
    assert outcome.seconds < WARM_SECONDS


def test_many_calls_at_once_all_succeed(guest: Prefix) -> None:
    begin = time.monotonic()
    clients = [guest.start("shell", "bash", "-c", f"exit {number}") for number in range(AT_ONCE)]
    assert [client.wait(AT_ONCE_SECONDS) for client in clients] == list(range(AT_ONCE))
    assert time.monotonic() - begin < AT_ONCE_SECONDS


def test_var_tmp_and_var_run_are_wiped_at_boot(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    for directory in ("/var/tmp", "/var/run", "/private/tmp"):  # noqa: S108 - in the guest
        prefix.write(f"{directory}/kept/file", b"x")
    prefix.stop()
    prefix.boot()
    assert prefix.script("ls -d /var/tmp/kept /var/run/kept 2> /dev/null").out == b""
    assert prefix.shell("cat", "/private/tmp/kept/file").text == "x"


def test_the_limit_of_open_files_at_boot_counts(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    try:
        prefix.boot()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert prefix.script("ulimit -n").text.strip() == str(FEW_FILES)


def test_a_pid_file_that_names_a_stranger_is_not_believed(account: Account, new_prefix: NewPrefix) -> None:
    prefix = new_prefix(account)
    prefix.boot()
    prefix.stop()
    Path(prefix.pid_file).write_text(str(os.getpid()))
    os.chown(prefix.pid_file, account.uid, account.gid)
    assert prefix.call("shell", "true", seconds=BOOT_SECONDS).rc == 0
    assert prefix.server() != os.getpid()
