"""A job of systemd's, waited for until systemd says how it has ended."""

import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pystemd.dbuslib import DBus, DbusMessage

_DESTINATION = b"org.freedesktop.systemd1"
_MANAGER = b"org.freedesktop.systemd1.Manager"
_JOB = b"org.freedesktop.systemd1.Job"
# What systemd says of jobs (org.freedesktop.systemd1(5), JobRemoved), and what we do where it has not been heard.
DONE, CANCELED, UNHEARD = "done", "canceled", "over, nobody knows how"
_MILLISECONDS = 1000
# Between the look that finds the job gone and the one after it, word of its end is read, if there is any.
_LOOKS_IN_VAIN = 2


def outcome(bus: "DBus", job: bytes, *, seconds_between_looks: float) -> str:
    """Wait for ``job`` as long as systemd has it, and give its outcome. Raises DBusBaseError if the bus is lost.

    There is no limit of ours: systemd ends what exceeds the times of its unit, by which builds may go on for a day.
    """
    readable = select.poll()
    readable.register(bus.get_fd(), select.POLLIN)
    looked, in_vain = time.monotonic(), 0
    while in_vain < _LOOKS_IN_VAIN:
        message = bus.process()
        if not message.is_empty():
            removed = _removed(message)
            if removed and removed[0] == job:
                return removed[1]
        elif time.monotonic() - looked >= seconds_between_looks:
            in_vain = 0 if _is_there(bus, job) else in_vain + 1
            looked = time.monotonic()
        else:
            # DBus.wait() would keep every other thread and all signals waiting: it holds the GIL.
            readable.poll(_MILLISECONDS)
    return UNHEARD


def _removed(message: "DbusMessage") -> tuple[bytes, str] | None:
    """Give the job and its outcome if ``message`` says that a job is over."""
    if not message.is_signal(_MANAGER, b"JobRemoved"):
        return None
    message.process_reply(False)  # noqa: FBT003 - pystemd's own signature
    _, job, _, ended = message.body
    return job, ended.decode()


def _is_there(bus: "DBus", job: bytes) -> bool:
    """Whether systemd still has ``job``, as far as it says: one that is reading its units anew may be slow to."""
    from pystemd.dbusexc import DBusBaseError, DBusUnknownObjectError  # noqa: PLC0415 - imported when it is needed
    from pystemd.dbuslib import apply_signature  # noqa: PLC0415 - as above

    properties = b"org.freedesktop.DBus.Properties"
    try:
        bus.call_method(_DESTINATION, job, properties, b"Get", apply_signature(b"ss", [_JOB, b"State"]))
    except DBusUnknownObjectError:
        return False
    except DBusBaseError:
        return True
    return True
