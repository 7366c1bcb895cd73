"""When a process was started."""

import os
import time

from darlingbuilder.adapters import process, procfs
from darlingbuilder.adapters.process import Start


def test_a_process_is_as_old_as_it_is() -> None:
    with open(os.devnull, "ab") as log:  # noqa: PTH123 - as spawn wants it
        running = process.spawn("sleep", "60", start=Start(), log=log)
    try:
        found = procfs.started(running.pid)
    finally:
        process.end(running)
    assert found is not None
    # The boot time that it is reckoned from has whole seconds.
    assert abs(time.time() - found) < 2


def test_one_that_is_not_there_was_never_started() -> None:
    assert procfs.started(4194305) is None
