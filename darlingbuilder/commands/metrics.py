"""``metrics``: the builder for Prometheus, in its text format, printed or put where node_exporter finds it."""

from argparse import Namespace
from pathlib import Path

from darlingbuilder.commands.context import Context, say
from darlingbuilder.core.errors import ExitCode, PrerequisiteError, UsageError
from darlingbuilder.core.tree import ROOT
from darlingbuilder.steps.look import look
from darlingbuilder.steps.metricsunits import refuse_foreign
from darlingbuilder.steps.overview import metrics, overview

_SUFFIX = ".prom"


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Print the metrics, or write them; a builder that has drifted is no failure here, but a figure."""
    made = context.marker is not None
    found = look(context.called, context.marker, context.world, context.wrong)
    text = metrics.text(overview.of(context.settings, context.world, found, made=made))
    if arguments.textfile is None:
        say(text.decode().rstrip("\n"))
    else:
        _write(context, arguments.textfile, text)
    return ExitCode.OK


def _write(context: Context, path: Path, text: bytes) -> None:
    host = context.world.host
    if not path.is_absolute() or path.suffix != _SUFFIX:
        raise UsageError(
            f"{path}: is no absolute path that ends in {_SUFFIX}, which is all that node_exporter reads",
            hint="name a file in node_exporter's --collector.textfile.directory",
        )
    if host.attributes(path.parent) is None:
        raise PrerequisiteError(
            f"{path.parent}: no such directory",
            hint="make it, or name the one of node_exporter's --collector.textfile.directory",
        )
    refuse_foreign(path, host)
    host.write(path, text, owner=ROOT)
