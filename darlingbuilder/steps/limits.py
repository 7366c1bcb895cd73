"""The unit's limit of open files, which an administrator's drop-in may have raised."""

from collections.abc import Sequence
from pathlib import Path

from darlingbuilder.adapters.systemd import UnitState
from darlingbuilder.core.note import Note
from darlingbuilder.core.settings import Settings
from darlingbuilder.core.tree import Tree

_LIMIT = b"LimitNOFILE"


def notes(settings: Settings, host: Tree, state: UnitState) -> list[Note]:
    """Say that drop-ins give the unit more open files than ``nofile``; a drop-in is the administrator's, no drift."""
    if not state.drop_ins or (state.nofile is not None and state.nofile <= settings.nofile):
        return []
    found = "no limit" if state.nofile is None else f"a soft limit of {state.nofile}"
    return [
        Note(
            settings.names.unit,
            f"{' '.join(_raising(host, state.drop_ins))} gives {found} of open files, «nofile» is {settings.nofile}. "
            "Nix closes each of them before a build, and in Darling that is slow: 8 small builds took 13.6 s with "
            "20000, 2.6 s with 256",
            hint="take LimitNOFILE out of it, then: systemctl daemon-reload; darlingbuilder restart",
        )
    ]


def _raising(host: Tree, drop_ins: Sequence[str]) -> Sequence[str]:
    """Pick those that set the limit; all, if it cannot be told."""
    return [path for path in drop_ins if _LIMIT in (host.read(Path(path)) or b"")] or drop_ins
