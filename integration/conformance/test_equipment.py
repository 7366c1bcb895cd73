"""The suite's own equipment: what would otherwise be taken for a Darling's doing, or be left on the machine."""

import os
import pwd
import warnings
from pathlib import Path

from . import processes
from .fixtures import ORDINARY_USER, remove
from .processes import NOWHERE, Account


def test_nothing_that_is_started_can_leave_a_core(account: Account, workshop: Path) -> None:
    limits = workshop / f"limits-{account.name}"
    with limits.open("wb") as out:
        shell = ("sh", "-c", "ulimit -S -c; ulimit -H -c; ulimit -S -c unlimited 2> /dev/null; ulimit -S -c")
        started = processes.start(shell, account, env={"PATH": os.defpath}, streams=(NOWHERE, out, NOWHERE))
        started.wait(10)

    assert limits.read_text() == "0\n0\n0\n"


def test_what_only_root_can_remove_is_told_and_is_no_error(root: Account, workshop: Path) -> None:
    # given: what an ordinary user has made, with root's work directory in it
    directory, own = workshop / "left", pwd.getpwnam(ORDINARY_USER)
    (directory / "p.workdir" / "work").mkdir(parents=True)
    os.chown(directory, own.pw_uid, own.pw_gid)
    # when
    os.seteuid(own.pw_uid)
    try:
        with warnings.catch_warnings(record=True) as told:
            remove(directory)
    finally:
        os.seteuid(root.uid)
    # then
    assert [str(one.message) for one in told] == [f"only root can remove what is left of {directory}"]
    remove(directory)
    assert not directory.exists()
