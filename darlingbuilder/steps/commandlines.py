"""The command lines of this program in the units: which program, with which words, for which builder."""

import os
import re
import shlex
import sys
import sysconfig
from pathlib import Path

from darlingbuilder.core import config, declaration
from darlingbuilder.core.config import Config
from darlingbuilder.core.instance import DEFAULT, Instance
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps import metricsunits

# The verb that the units of a builder on demand call, and what it does for them.
ON_DEMAND, STOP_IF_IDLE, HOLD = "on-demand", "stop-if-idle", "hold"
_NAME = "darlingbuilder"
_INSTANCE_FLAG, _STATE_FLAG = (f"{declaration.table()[key].flag}=" for key in ("instance", "state"))


def init(chosen: Config) -> str:
    """Give the hook that runs before the service, as systemd reads it."""
    return _command(*program(), "init", *_flags(chosen))


def serve(chosen: Config) -> str:
    """Give the command that is the service, as systemd reads it."""
    return _command(*program(), "serve", *_whose(chosen))


def hold(chosen: Config) -> str:
    """Give the command by which a start by hand keeps a builder on demand up, as systemd reads it."""
    return _command(*program(), ON_DEMAND, HOLD, *_whose(chosen))


def starts(chosen: Config) -> str:
    """Give the command that has the breaker hold up another start; it does nothing where none had failed."""
    return _unless(_none_failed(chosen), _breaker(chosen, "starts"))


def serves(chosen: Config) -> str:
    """Give the command that tells the breaker of a start that went well; it does nothing where none had failed."""
    return _unless(_none_failed(chosen), _breaker(chosen, "serves"))


def ended(chosen: Config) -> str:
    """Give the command that tells the breaker of an end; it does nothing after a good one."""
    return _unless('"$SERVICE_RESULT" = success', _breaker(chosen, "ended"))


def write_metrics(chosen: Config) -> str:
    """Give the command that writes the metrics once, as systemd reads it."""
    textfile = f"{metricsunits.FLAG}{chosen.settings.metrics_textfile}"
    return _command(*program(), "metrics", textfile, *_whose(chosen))


def stop_if_idle(chosen: Config) -> str:
    """Give the command by which the proxy of a builder on demand has an idle one stopped, as systemd reads it."""
    return _command(*program(), ON_DEMAND, STOP_IF_IDLE, *_whose(chosen))


def program() -> list[str]:
    """Give the command that starts this darlingbuilder, by absolute paths."""
    return located(Path(sysconfig.get_path("scripts")) / _NAME, Path(sys.argv[0]))


def located(script: Path, called: Path) -> list[str]:
    """Give the command by what can be run of it: the ``script`` beside Python, or what was ``called``."""
    # nixpkgs puts the script, which alone knows where our libraries are, elsewhere than Python has its own.
    candidates = [script, called.resolve()] if called.is_absolute() and called.name == _NAME else [script]
    found = next((path for path in candidates if os.access(path, os.X_OK)), None)
    return [str(found)] if found else [sys.executable, "-m", _NAME]


def installed_state(names: Instance, host: Tree) -> Path | None:
    """Give the state directory of the builder that the installed unit runs, whoever installed it; None if none."""
    content = host.read(names.unit_file) or b""
    found = re.search(r"^ExecStart=(.*)", content.decode(errors="replace"), re.MULTILINE)
    words = shlex.split(found[1]) if found else []
    if "serve" not in words or not any(Path(word).name == _NAME for word in words):
        return None
    named = [word.removeprefix(_STATE_FLAG) for word in words if word.startswith(_STATE_FLAG)]
    return Path(named[-1] if named else str(config.defaults(names.name)["state"]))


def _command(*words: str) -> str:
    """Quote a command for systemd, which expands «%» and «$» even between quotes."""
    return shlex.join(words).replace("%", "%%").replace("$", "$$")


def _breaker(chosen: Config, event: str) -> list[str]:
    return [*program(), "breaker", event, *_whose(chosen)]


def _none_failed(chosen: Config) -> str:
    return f"! -e {shlex.quote(str(Paths(chosen.settings).failures))}"


def _unless(condition: str, words: list[str]) -> str:
    """Give a command that is not run where test(1) says so: our own takes a fifth of a second to begin."""
    return _command("/bin/sh", "-c", f'test {condition} || exec "$@"', _NAME, *words)


def _flags(chosen: Config) -> list[str]:
    """Repeat what the file does not say, so that the hook converges to the same settings as this call."""
    names = chosen.settings.names
    words = [f"{_INSTANCE_FLAG}{names.name}"] if names.name != DEFAULT else []
    words += ["--config", str(chosen.file)] if chosen.file != names.settings_file else []
    values = config.flatten(chosen.settings)
    for key, setting in declaration.table().items():
        if chosen.origins[key] in {"flag", "environment"} and key != "instance":
            words += [f"{setting.flag}={declaration.as_text(values[key])}"]
    return words


def _whose(chosen: Config) -> list[str]:
    """Say which builder is meant, in so far as it is not the one that is meant by default."""
    instance = chosen.settings.instance
    words = [f"{_INSTANCE_FLAG}{instance}"] if instance != DEFAULT else []
    return words + ([f"{_STATE_FLAG}{chosen.settings.state}"] if chosen.origins["state"] != "default" else [])
