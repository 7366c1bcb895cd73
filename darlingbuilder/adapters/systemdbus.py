"""systemd over D-Bus, by pystemd, which is imported when it is first needed."""

import contextlib
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darlingbuilder.adapters import journal, systemdjobs
from darlingbuilder.adapters.systemd import Activity, Manager, UnitState
from darlingbuilder.core import ending
from darlingbuilder.core.errors import AbsentUnitError, CanceledJobError, PrerequisiteError, SystemdError

if TYPE_CHECKING:
    from pystemd.dbuslib import DBus

_DESTINATION = b"org.freedesktop.systemd1"
_PATH = b"/org/freedesktop/systemd1"
_MANAGER = b"org.freedesktop.systemd1.Manager"
_UNIT = b"org.freedesktop.systemd1.Unit"
_SERVICE = b"org.freedesktop.systemd1.Service"
_MICROSECONDS = 1e6
_NO_LIMIT = 2**64 - 1
# Word of a job's end comes by itself, unless it is lost.
_SECONDS_BETWEEN_LOOKS = 30.0
_JOURNAL_LINES = 15
# The names of errors by which systemd says that there is nothing to be told; pystemd has classes for the others.
_NO_PROCESS = b"org.freedesktop.systemd1.NoSuchProcess"


@dataclass(slots=True)
class SystemdBus:
    """The real systemd. The connection is made by the first call and kept."""

    _bus: "DBus | None" = field(default=None)
    seconds_between_looks: float = _SECONDS_BETWEEN_LOOKS

    def unit(self, name: str) -> UnitState:
        """See Systemd."""
        path = self._call("LoadUnit", b"s", name.encode())
        unit = self._properties(path, _UNIT)
        service = self._properties(path, _SERVICE) if name.endswith(".service") else {}
        return UnitState(
            activity=Activity(unit["ActiveState"]),
            sub=unit["SubState"],
            load=unit["LoadState"],
            file_state=unit["UnitFileState"],
            since=unit["ActiveEnterTimestamp"] / _MICROSECONDS,
            needs_reload=bool(unit["NeedDaemonReload"]),
            main_pid=service.get("MainPID", 0),
            status_text=service.get("StatusText", ""),
            restarts=service.get("NRestarts", 0),
            outcome=service.get("Result", ""),
            nofile=_finite(service.get("LimitNOFILESoft", _NO_LIMIT)),
            drop_ins=tuple(path.decode() for path in unit["DropInPaths"]),
            ended=_end(service.get("ExecMainCode", 0), service.get("ExecMainStatus", 0)),
        )

    def manager(self) -> Manager:
        """See Systemd."""
        told = self._properties(_PATH, _MANAGER)
        limit = told["DefaultTimeoutStopUSec"]
        return Manager(
            stopping=told["SystemState"] == "stopping",
            stop_seconds=None if limit == _NO_LIMIT else limit / _MICROSECONDS,
        )

    def start(self, name: str) -> None:
        """See Systemd."""
        self._job("StartUnit", name)

    def stop(self, name: str) -> None:
        """See Systemd."""
        with contextlib.suppress(AbsentUnitError):
            self._job("StopUnit", name)

    def begin_stop(self, name: str) -> None:
        """See Systemd."""
        with contextlib.suppress(AbsentUnitError):
            self._call("StopUnit", b"ss", name.encode(), b"replace")

    def restart(self, name: str) -> None:
        """See Systemd."""
        self._job("RestartUnit", name)

    def try_restart(self, name: str) -> None:
        """See Systemd."""
        with contextlib.suppress(AbsentUnitError):
            self._job("TryRestartUnit", name)

    def reload(self) -> None:
        """See Systemd."""
        self._call("Reload", b"")

    def enable(self, name: str) -> None:
        """See Systemd."""
        if self.unit(name).load == "masked":
            self._files("UnmaskUnitFiles", b"asb", [name.encode()], False)  # noqa: FBT003 - D-Bus knows no keywords
        self._files("EnableUnitFiles", b"asbb", [name.encode()], False, True)  # noqa: FBT003 - as above

    def disable(self, name: str) -> None:
        """See Systemd."""
        with contextlib.suppress(AbsentUnitError):
            self._files("DisableUnitFiles", b"asb", [name.encode()], False)  # noqa: FBT003 - as above

    def reset_failed(self, name: str) -> None:
        """See Systemd."""
        with contextlib.suppress(AbsentUnitError):
            self._call("ResetFailedUnit", b"s", name.encode())

    def send(self, name: str, number: signal.Signals) -> None:
        """See Systemd."""
        with contextlib.suppress(AbsentUnitError):
            self._call("KillUnit", b"ssi", name.encode(), b"main", number.value)

    def _files(self, method: str, signature: bytes, *arguments: object) -> None:
        self._call(method, signature, *arguments)
        self.reload()

    def _job(self, method: str, name: str) -> None:
        """Queue a job and wait until systemd says that it is over."""
        self._connection()
        job = self._call(method, b"ss", name.encode(), b"replace")
        outcome = self._outcome(job)
        if outcome == systemdjobs.DONE:
            return
        verb, said = method.removesuffix("Unit").lower(), journal.last_lines(name, _JOURNAL_LINES)
        if outcome == systemdjobs.CANCELED:
            raise CanceledJobError(
                f"{verb} of {name}: {outcome}: somebody has asked for the opposite meanwhile\n{said}",
                hint="see what it is doing now with «darlingbuilder status», then try again",
            )
        raise SystemdError(
            f"{verb} of {name}: {outcome}\n{said}",
            hint=f"see «journalctl -u {name}»; when the cause is gone: darlingbuilder init",
        )

    def _outcome(self, job: bytes) -> str:
        from pystemd.dbusexc import DBusBaseError  # noqa: PLC0415 - see the module's first line

        try:
            return systemdjobs.outcome(self._connection(), job, seconds_between_looks=self.seconds_between_looks)
        except DBusBaseError as error:
            self._bus = None
            raise SystemdError(
                f"the connection to systemd is lost, its job may go on: {_said(error)}",
                hint="see «systemctl list-jobs»; when it is done: darlingbuilder status",
            ) from error

    def _properties(self, path: bytes, interface: bytes) -> dict[str, Any]:
        answer = self._method(path, b"org.freedesktop.DBus.Properties", "GetAll", b"s", interface)
        return {
            name.decode(): value.decode() if isinstance(value, bytes) else value for name, value in answer.items()
        }

    def _call(self, method: str, signature: bytes, *arguments: object) -> Any:  # noqa: ANN401 - D-Bus has any type
        return self._method(_PATH, _MANAGER, method, signature, *arguments)

    def _method(self, path: bytes, interface: bytes, method: str, signature: bytes, *arguments: object) -> Any:  # noqa: ANN401 - as above
        bus = self._connection()  # it says what to do where pystemd is missing
        from pystemd.dbusexc import DBusBaseError  # noqa: PLC0415 - see the module's first line
        from pystemd.dbuslib import apply_signature  # noqa: PLC0415 - as above

        packed = apply_signature(signature, list(arguments)) if signature else []
        try:
            return bus.call_method(_DESTINATION, path, interface, method.encode(), packed).body
        except DBusBaseError as error:
            if _is_of_absent(error):
                raise AbsentUnitError(
                    f"systemd finds nothing for {method}: {_said(error)}",
                    hint="the builder's own units are written by: darlingbuilder init",
                ) from error
            raise SystemdError(
                f"systemd refuses {method}: {_said(error)}", hint="are you root? «darlingbuilder doctor» tells more"
            ) from error

    def _connection(self) -> "DBus":
        if self._bus is None:
            self._bus = _connect()
        return self._bus


def _end(code: int, status: int) -> str:
    """Say how a process ended, by waitid(2)'s code and status; nothing while it has not."""
    if code == os.CLD_EXITED:
        return ending.by_status(status)
    return ending.by_signal(status) if code in {os.CLD_KILLED, os.CLD_DUMPED} else ""


def _finite(limit: int) -> int | None:
    return None if limit == _NO_LIMIT else limit


def _connect() -> "DBus":
    try:
        from pystemd.dbusexc import DBusBaseError  # noqa: PLC0415 - see the module's first line
        from pystemd.dbuslib import DBus, apply_signature  # noqa: PLC0415 - as above
    except ImportError as error:
        raise PrerequisiteError(
            f"pystemd cannot be imported: {error}",
            hint="apt install libsystemd-dev pkg-config gcc, then install darlingbuilder again",
        ) from error
    bus = DBus()
    rule = b"type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'"
    daemon = (b"org.freedesktop.DBus", b"/org/freedesktop/DBus", b"org.freedesktop.DBus")
    try:
        bus.open()
        bus.call_method(*daemon, b"AddMatch", apply_signature(b"s", [rule]))
        bus.call_method(_DESTINATION, _PATH, _MANAGER, b"Subscribe", [])
    except DBusBaseError as error:
        raise SystemdError(
            f"systemd cannot be reached over D-Bus: {_said(error)}",
            hint="darlingbuilder needs a running systemd and dbus; see «systemctl is-system-running»",
        ) from error
    return bus


def _is_of_absent(error: Any) -> bool:  # noqa: ANN401 - pystemd has no types
    """Whether systemd says that there is no such unit or process: by the error's name, its words are for people."""
    from pystemd import dbusexc  # noqa: PLC0415 - see the module's first line

    # A disabled unit without a file is «FileNotFound», a process that has just ended «UnixProcessIdUnknown».
    absent = (dbusexc.DBusNoSuchUnitError, dbusexc.DBusFileNotFoundError, dbusexc.DBusUnixProcessIdUnknownError)
    return isinstance(error, absent) or error.err_name == _NO_PROCESS


def _said(error: Any) -> str:  # noqa: ANN401 - pystemd has no types
    message = error.err_message
    text = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    return text or str(error)
