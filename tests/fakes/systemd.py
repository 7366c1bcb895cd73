"""systemd in memory, reading its unit files from a tree as the real one does."""

import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from darlingbuilder.adapters.systemd import Activity, Manager, UnitState
from darlingbuilder.core import ending
from darlingbuilder.core.errors import SystemdError
from darlingbuilder.core.tree import Tree

_DIRECTORY = Path("/etc/systemd/system")
_MASK = "/dev/null"
_ABSENT = UnitState(
    activity=Activity.INACTIVE,
    sub="dead",
    load="not-found",
    file_state="",
    since=0.0,
    needs_reload=False,
    main_pid=0,
    status_text="",
    restarts=0,
    outcome="success",
    nofile=None,
    drop_ins=(),
)
_MANAGER = Manager(stopping=False, stop_seconds=90.0)
_FAILED = replace(_ABSENT, activity=Activity.FAILED, sub="failed")
# What systemd itself gives a service that asks for nothing.
_NOFILE = 1024
_LIMIT = re.compile(r"^LimitNOFILE=([0-9]+)(?::[0-9]+)?$", re.MULTILINE)

Files = dict[Path, bytes]
# clock_gettime(2)'s CLOCK_REALTIME_COARSE: the time of the kernel's last tick, which files get.
_COARSE = 5
_SHORT = 1000


def next_tick() -> float:
    """Give a time, in seconds of the epoch, between those of the files that were written and of those that will be.

    A tick is up to 10 ms; a start that took less would seem younger than a file that was written after it.
    """
    before = now = time.clock_gettime_ns(_COARSE)
    while now == before:
        time.sleep(0.0005)
        now = time.clock_gettime_ns(_COARSE)
    return (now - _SHORT) / 1e9


@dataclass(slots=True)
class FakeSystemd:
    """Units are files of ``host``'s /etc/systemd/system, or named in ``packaged``, which stand for /usr/lib's.

    A unit whose name is in ``broken`` cannot be started. ``on_start`` is called with the name of each that is.
    ``heeds``: what the main process of a unit does with a signal, rather than die of it. With ``reachable`` false
    nobody answers on the bus.
    """

    host: Tree
    packaged: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    reachable: bool = True
    heeds: dict[str, Callable[[signal.Signals], None]] = field(default_factory=dict)
    itself: Manager = _MANAGER
    on_start: Callable[[str], None] = lambda _name: None
    _running: dict[str, UnitState] = field(default_factory=dict)
    _read: dict[str, Files] = field(default_factory=dict)
    _enabled: set[str] = field(default_factory=set)
    _last_pid: int = 1000

    def unit(self, name: str) -> UnitState:
        """See Systemd."""
        self._answer()
        state = self._running.get(name, _ABSENT)
        if state is _ABSENT and name not in self._enabled:
            self._read.pop(name, None)  # systemd has forgotten a unit that nothing needs, and reads it anew
        load = self._load(name)
        return replace(
            state,
            load=load,
            file_state=self._file_state(name, load),
            needs_reload=name in self._read and self._read[name] != self._files(name),
            nofile=_nofile(self._read.get(name)),
            drop_ins=tuple(str(path) for path in self._read.get(name, {}) if path.name != name),
        )

    def manager(self) -> Manager:
        """See Systemd."""
        self._answer()
        return self.itself

    def start(self, name: str) -> None:
        """See Systemd."""
        self._require(name)
        if self.unit(name).activity is Activity.ACTIVE:
            return
        if name in self.broken:
            self._running[name] = replace(
                _ABSENT, activity=Activity.FAILED, sub="failed", outcome="exit-code", ended="status 1"
            )
            raise SystemdError(f"the start of {name} failed", hint=f"journalctl --unit {name}")
        self._last_pid += 1
        active = replace(_ABSENT, activity=Activity.ACTIVE, sub="running", since=next_tick(), main_pid=self._last_pid)
        self._running[name] = active
        self.on_start(name)

    def stop(self, name: str) -> None:
        """See Systemd."""
        self._answer()
        if self.unit(name).activity is Activity.ACTIVE:
            ended = self._running.pop(name)
            if name in self._enabled:
                # What is not forgotten keeps what it said last, and when it was started.
                self._running[name] = replace(_ABSENT, since=ended.since, status_text=ended.status_text)

    def begin_stop(self, name: str) -> None:
        """See Systemd."""
        self.stop(name)

    def restart(self, name: str) -> None:
        """See Systemd."""
        self._require(name)
        self.stop(name)
        self.start(name)

    def try_restart(self, name: str) -> None:
        """See Systemd."""
        if self.unit(name).activity is Activity.ACTIVE:
            self.restart(name)

    def reload(self) -> None:
        """See Systemd."""
        self._answer()
        for name in list(self._read):
            if files := self._files(name):
                self._read[name] = files
            else:
                del self._read[name]

    def enable(self, name: str) -> None:
        """See Systemd."""
        if self.unit(name).load == "masked":
            self.host.remove(_DIRECTORY / name)
            self._read.pop(name, None)
        self._require(name)
        self._enabled.add(name)

    def disable(self, name: str) -> None:
        """See Systemd."""
        self._answer()
        self._enabled.discard(name)

    def reset_failed(self, name: str) -> None:
        """See Systemd."""
        if self.unit(name).activity is Activity.FAILED:
            del self._running[name]

    def send(self, name: str, number: signal.Signals) -> None:
        """See Systemd."""
        if self.unit(name).activity is not Activity.ACTIVE:
            return
        if name in self.heeds:
            self.heeds[name](number)
        else:
            self._running[name] = replace(
                _ABSENT, activity=Activity.FAILED, sub="failed", outcome="signal", ended=ending.by_signal(number)
            )

    def tell(self, name: str, status: str) -> None:
        """Have the main process of ``name``, which runs, say how it is."""
        self._running[name] = replace(self._running[name], status_text=status)

    def adopt(self, name: str, pid: int) -> None:
        """Have ``pid`` be the main process of ``name``, which runs."""
        self._running[name] = replace(self._running[name], main_pid=pid)

    def kill(self, name: str) -> None:
        """Let the main process of ``name`` die of itself."""
        self.heeds.pop(name, None)
        self.send(name, signal.SIGKILL)

    def _answer(self) -> None:
        if not self.reachable:
            raise SystemdError("systemd does not answer", hint="is /run/dbus/system_bus_socket there?")

    def _require(self, name: str) -> None:
        load = self.unit(name).load
        if load != "loaded":
            raise SystemdError(f"Unit {name} is {load}", hint="darlingbuilder init")

    def _load(self, name: str) -> str:
        """Read the unit's file if it was not read before, as systemd does when a unit is first asked for."""
        if self.host.link(_DIRECTORY / name) == _MASK:
            return "masked"
        if files := self._files(name):
            self._read.setdefault(name, files)
        return "loaded" if name in self._read or name in self.packaged else "not-found"

    def _files(self, name: str) -> Files:
        """Give the unit's file and, in the order in which they count, its drop-ins; nothing if there is no file."""
        directory = _DIRECTORY / f"{name}.d"
        drop_ins = [directory / one for one in self.host.names(directory) if one.endswith(".conf")]
        found = {path: self.host.read(path) or b"" for path in (_DIRECTORY / name, *drop_ins)}
        return found if self.host.attributes(_DIRECTORY / name) else {}

    def _file_state(self, name: str, load: str) -> str:
        if load == "masked":
            return "masked"
        if load == "not-found":
            return ""
        return "enabled" if name in self._enabled else "disabled"


def _nofile(files: Files | None) -> int | None:
    """Give the soft limit that ``files`` set, the last one counting; systemd's own where none does."""
    if not files:
        return None
    found = [limit for content in files.values() for limit in _LIMIT.findall(content.decode())]
    return int(found[-1]) if found else _NOFILE
