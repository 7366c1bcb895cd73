"""The verbs: what each is called, takes and needs, and which module does it."""

import argparse
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darlingbuilder.core.instance import DEFAULT

# A verb that has no line of its own in the overview stands in that of the verb before it.
BESIDE = ""
# A verb that units call, and nobody else.
INTERNAL = "internal"
_LONGEST_WAIT = 86400
_SWITCH: Mapping[str, Any] = {"action": "store_true"}
_TEXT: Mapping[str, Any] = {"metavar": "TEXT"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a verb that is no setting; ``options`` go to argparse as they are."""

    name: str
    help: str
    options: Mapping[str, Any] = field(default_factory=lambda: _SWITCH)


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: ``run(context, arguments)`` of ``darlingbuilder.commands.<module>``.

    ``takes_settings``: every setting is a flag of it. ``needs_root``: it reads or changes what is root's.
    ``overview``: its line there, where its help does not fit on one, or is not of it alone. ``finished_by``: the verb
    that goes on where this one was interrupted; None where it changes nothing. ``of_program``: it tells of
    the program alone: neither settings nor a builder are looked for, and it is run with the arguments alone.
    ``in_any_case``: it does what it can where the marker cannot be read.
    """

    name: str
    module: str
    help: str
    arguments: tuple[Argument, ...] = ()
    takes_settings: bool = False
    needs_root: bool = True
    overview: str | None = None
    finished_by: str | None = "init"
    of_program: bool = False
    in_any_case: bool = False


def _count(text: str) -> int:
    """Read how many."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _seconds(text: str) -> float:
    """Read a time that one can wait for."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= _LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, of more than 0, up to {_LONGEST_WAIT}")
    return number


def _key(name: str, text: str) -> Argument:
    return Argument(name, text, {"nargs": "?", "const": "", "metavar": "FILE"})


_JSON = Argument("--json", "print JSON")
_TIMEOUT = Argument(
    "--timeout", "seconds that all of it may take [300]", {"type": _seconds, "default": 300.0, "metavar": "SECONDS"}
)
_SCHEMA = Argument("--schema", "print the JSON Schema of what --json prints")
_WATCH = Argument(
    "--watch",
    "show it again and again, every so many seconds [2], until Ctrl-C",
    {"nargs": "?", "type": _seconds, "const": 2.0, "metavar": "SECONDS"},
)
_FIVE_SECONDS: Mapping[str, Any] = {"type": _seconds, "default": 5.0, "metavar": "SECONDS"}
_PATHS = Argument(
    "paths",
    "store paths, or links to them such as ./result, with all that they need",
    {"nargs": "+", "metavar": "PATH"},
)
_ALL = Argument("--all", "show every builder of this host; exit as the worst of them would")
_DRY_RUN = Argument("--dry-run", "show every difference and change nothing; exit 3 if there is one")
_EXPORT = (
    Argument(
        "--format",
        "machines: the line for Nix; ssh-config, known-hosts: what ssh needs for it; nixos, nix-darwin: all of it as "
        "a module; json: all of it; nixpkgs-review: the value of --builders [machines]",
        {
            "choices": ["machines", "ssh-config", "known-hosts", "nixos", "nix-darwin", "json", "nixpkgs-review"],
            "default": "machines",
        },
    ),
    Argument("--host", "the name under which the client reaches this machine [its host name]", {"metavar": "NAME"}),
    Argument(
        "--jump",
        "have the client come by ssh to this machine, or to LOGIN ([USER@]HOST[:PORT]), and from there to the port, "
        "which then need not be open to it",
        {"nargs": "?", "const": "", "metavar": "LOGIN"},
    ),
    Argument(
        "--name", "what the client's ssh and Nix are to call the builder [darling-builder-HOST]", {"metavar": "NAME"}
    ),
    Argument(
        "--key",
        "where the client has its private key [/etc/nix/NAME-key]",
        {"metavar": "FILE"},
    ),
    Argument(
        "--nix-version",
        "the client's Nix; from 2.31 on the line for it has the port itself and needs no ssh-config, but for --jump",
        {"metavar": "VERSION"},
    ),
    _SCHEMA,
)
_NOW = Argument("--now", "do not wait for running builds, and cut off those that another stop waits for")

VERBS = (
    Verb("init", "init", "make the builder what the settings say", (_DRY_RUN,), takes_settings=True),
    Verb(
        "status",
        "status",
        "show the builder and every difference; exit 3 if there is one",
        (_JSON, _SCHEMA, _WATCH, _ALL),
        overview="show the builder, and how it differs from its settings",
        finished_by=None,
    ),
    Verb(
        "top",
        "top",
        "show all builders of this machine's Nix: reachable, latency, load, memory, slots, systems, speed",
        (
            _JSON,
            _SCHEMA,
            Argument("--once", "look once, and not again and again until Ctrl-C"),
            Argument("--interval", "seconds between two looks [5]", _FIVE_SECONDS),
            Argument("--timeout", "seconds that a builder gets to answer [5]", _FIVE_SECONDS),
        ),
        overview="show all builders of this machine's Nix",
        finished_by=None,
    ),
    Verb(
        "start",
        "unit",
        "start the service and wait until it serves",
        overview="the service; each waits for it, stop lets builds end",
    ),
    Verb("stop", "unit", "let running builds end, then stop the service", (_NOW,), overview=BESIDE),
    Verb("restart", "unit", "stop the service as «stop» does, then start it", (_NOW,), overview=BESIDE),
    Verb("serve", "serve", "run the builder in the foreground, as the unit does", overview="what the unit runs"),
    Verb(
        "breaker",
        "breaker",
        "wait before another start of what fails, count a failure, or put the builder back into service; the unit "
        "itself runs this",
        (Argument("event", "what happens to the service", {"choices": ["starts", "ended", "serves"]}),),
        overview=INTERNAL,
        in_any_case=True,
    ),
    Verb(
        "on-demand",
        "ondemand",
        "called by the units of a builder on demand: stop it if nothing needs it, or have connections wait for it",
        (Argument("action", "what to do", {"choices": ["stop-if-idle", "hold"]}),),
        overview=INTERNAL,
    ),
    Verb(
        "test",
        "selftest",
        "connect as nix-daemon does, layer by layer, and build a derivation",
        (_JSON, Argument("--no-build", "stop before the build"), _TIMEOUT),
        overview="connect as nix-daemon does, and build a derivation",
        finished_by=None,
    ),
    Verb(
        "push",
        "transfer",
        "copy closures from this machine's store into the guest's",
        (_PATHS, _JSON),
        overview="copy closures into the guest's store; and back",
        finished_by="push",
    ),
    Verb(
        "pull",
        "transfer",
        "copy closures from the guest's store into this machine's; unsigned as they are, the guest is trusted",
        (_PATHS, _JSON),
        overview=BESIDE,
        finished_by="pull",
    ),
    Verb(
        "shell",
        "shell",
        "run a command, or a shell, in the guest",
        (Argument("command", "the command and its arguments", {"nargs": argparse.REMAINDER}),),
        finished_by=None,
    ),
    Verb(
        "logs",
        "logs",
        "show the journal of the service",
        (
            Argument(
                "whose",
                "whose lines: all of the service, its own, those of the guest's sshd, or of the host's nix-daemon",
                {"nargs": "?", "choices": ["all", "own", "sshd", "nix"], "default": "all"},
            ),
            Argument("-f", "wait for more", {"dest": "follow", **_SWITCH}),
            Argument(
                "--since", "from then on, as journalctl takes it: «today», «2026-01-31 12:00»; --since=-1h", _TEXT
            ),
            Argument("--lines", "the last so many", {"type": _count, "metavar": "N"}),
            Argument(
                "--priority",
                "as important as this, or more",
                {"choices": ["err", "warning", "notice", "info", "debug"]},
            ),
            Argument("--build", "instead, the whole log of one build, by its derivation or output", _TEXT),
            Argument("--json", "print every field, a line an entry"),
        ),
        needs_root=False,
        overview="show the journal; print metrics for Prometheus",
        finished_by=None,
    ),
    Verb(
        "metrics",
        "metrics",
        "print the builder's metrics for Prometheus",
        (
            Argument(
                "--textfile",
                "write them to this file instead, which ends in .prom, for node_exporter",
                {"type": Path, "metavar": "PATH"},
            ),
        ),
        overview=BESIDE,
        finished_by=None,
    ),
    Verb(
        "doctor",
        "doctor",
        "check what the machine must bring along; exit 5 if something is missing",
        (_JSON,),
        takes_settings=True,
        needs_root=False,
        overview="check what the machine must bring along",
        finished_by=None,
    ),
    Verb(
        "config",
        "config",
        "show every setting, its value and its origin, or print a unit that follows from them",
        (
            Argument(
                "action",
                "what to do with the settings",
                {"choices": ["show", "unit", "socket", "proxy", "metrics", "timer"]},
            ),
            _JSON,
        ),
        takes_settings=True,
        needs_root=False,
        overview="show every setting with its origin, or print a unit",
        finished_by=None,
    ),
    Verb(
        "keys",
        "keys",
        "show the two keys; rotate them, no build failing meanwhile; or import keys that others keep",
        (
            Argument("action", "what to do with the keys", {"choices": ["show", "rotate", "import"]}),
            _key("--user", "the key with which Nix logs in, without --host that one alone; FILE is for import"),
            _key("--host", "the host key of the guest's sshd, likewise"),
            Argument("--copy", "import takes a copy, instead of a link to where the key is kept"),
            Argument(
                "--timeout",
                "seconds that rotate and import wait for builds that know the old host key alone [600]",
                {"type": _seconds, "default": 600.0, "metavar": "SECONDS"},
            ),
            _JSON,
        ),
        overview="show, rotate or import the keys",
        finished_by="keys rotate",
    ),
    Verb(
        "client",
        "client",
        "let other machines build here, each by a key of its own; list them; or shut one out and end its builds",
        (
            Argument("action", "what to do", {"choices": ["add", "list", "remove"]}),
            Argument("name", "the client, such as its host name", {"nargs": "?", "metavar": "NAME"}),
            Argument("--key", "for add: the file of its public key, or - for standard input", {"metavar": "FILE"}),
            _JSON,
        ),
        overview="let other machines build here; print what these need",
    ),
    Verb(
        "export",
        "export",
        "print what another machine needs to build here, ready to be put in its configuration",
        _EXPORT,
        overview=BESIDE,
        finished_by=None,
    ),
    Verb(
        "reset",
        "reset",
        "make a new prefix and an empty store, with the same keys and settings",
        (Argument("--keep-store", "keep the store"), Argument("--yes", "do not ask")),
        overview="make a new prefix and an empty store",
    ),
    Verb(
        "snapshot",
        "snapshot",
        "keep prefix and store as they are, or put what was kept in their place; the builder is stopped meanwhile",
        (
            Argument("action", "what to do", {"choices": ["create", "restore", "list", "delete"]}),
            Argument("name", "the snapshot; a new one is named after the time", {"nargs": "?", "metavar": "NAME"}),
            _JSON,
        ),
        overview="keep prefix and store as they are, or put them back",
    ),
    Verb(
        "uninstall",
        "uninstall",
        "withdraw everything that init made; keys and snapshots are kept",
        (Argument("--purge", "delete the keys and the snapshots, too"),),
        overview="withdraw everything that init made",
        finished_by="uninstall",
    ),
    Verb(
        "gc",
        "gc",
        "collect the guest's garbage, by its own Nix; the host's paths stay",
        (
            Argument("--max-age", "delete only what was registered longer ago, as in 30d", {"metavar": "AGE"}),
            Argument("--free", "stop when so much is freed, as in 10G", {"metavar": "SIZE"}),
            _JSON,
        ),
        overview="collect the guest's garbage, by its own Nix",
        finished_by="gc",
    ),
    Verb(
        "man",
        "manual",
        "print a manual page, of the program or of its settings file",
        (
            Argument(
                "page",
                "which one [darlingbuilder]",
                {"nargs": "?", "choices": ["darlingbuilder", "darlingbuilder.toml"], "default": "darlingbuilder"},
            ),
        ),
        needs_root=False,
        overview="print a manual page; print what a shell completes",
        finished_by=None,
        of_program=True,
    ),
    Verb(
        "completion",
        "completion",
        "print what completes the command line in a shell",
        (Argument("shell", "the shell", {"choices": ["bash", "zsh", "fish"]}),),
        needs_root=False,
        overview=BESIDE,
        finished_by=None,
        of_program=True,
    ),
)


def as_typed(text: str, instance: str) -> str:
    """Have the commands in ``text``, a remedy say, name the builder that they are about."""
    if instance == DEFAULT:
        return text
    verbs = "|".join(verb.name for verb in VERBS)
    return re.sub(rf"\bdarlingbuilder (?=({verbs})\b)", f"darlingbuilder --instance {instance} ", text)
