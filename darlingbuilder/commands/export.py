"""``export``: what another machine needs to build here, on stdout and nothing else there."""

import os
import re
from argparse import Namespace

import msgspec

from darlingbuilder.commands.context import Context, say, say_json
from darlingbuilder.core import log
from darlingbuilder.core.errors import ExitCode, UsageError
from darlingbuilder.steps.clients import Clients
from darlingbuilder.steps.offering import snippets
from darlingbuilder.steps.offering.offer import Offer, Wish, offer
from darlingbuilder.steps.offering.snippets import OfferView, Version

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+")
_REVIEW = "review"


def run(context: Context, arguments: Namespace) -> ExitCode:
    """Print it in the form that is asked for."""
    if arguments.schema:
        say_json(msgspec.json.schema(OfferView))
        return ExitCode.OK
    settings = context.require_builder()
    nix = _version(arguments.nix_version)
    host = os.uname().nodename if arguments.host is None else arguments.host
    made = offer(settings, context.world, Wish(host, arguments.jump, arguments.name, arguments.key))
    if arguments.format == "json":
        say_json(snippets.view(made, nix))
    else:
        say(snippets.TEXTS[arguments.format](made, nix).rstrip("\n"))
    _remark(context, made, arguments.format, nix)
    return ExitCode.OK


def _version(text: str | None) -> Version:
    if text is None:
        return ()
    found = _VERSION.match(text)
    if not found:
        raise UsageError(
            f"--nix-version: {text!r} is no version", hint="what the client's «nix --version» ends with, as in 2.31.2"
        )
    return tuple(map(int, found[0].split(".")))


def _remark(context: Context, made: Offer, form: str, nix: Version) -> None:
    """Say on stderr what is still to be done for it to work."""
    if not Clients(context.settings, context.world.host).listed():
        log.info("no other machine is let in yet", do="darlingbuilder client add NAME --key FILE")
    if form.endswith(_REVIEW):
        log.info(
            "put it between quotes of its own",
            do="nixpkgs-review pr --systems x86_64-darwin --build-args \"--builders '…'\" NUMBER",
        )
    if form.endswith(_REVIEW) and not snippets.needs_no_alias(made, nix):
        log.info("it needs the alias on the client, too", alias=made.name, do="export --format ssh-config")
    if form in snippets.WITH_KNOWN_HOSTS and made.jump and not made.jump_host_keys:
        log.warning(
            "the client is not told by which key to know the machine on its way: none is known here",
            host=made.jump_name,
            do=f"once on the client, as root: ssh ssh://{made.jump.split(',')[0]}; or, where that is this machine, "
            "make its sshd's keys (ssh-keygen -A), and export once more",
        )
    if len(made.host_keys) > 1:
        log.info("the host key is being replaced: after that, export it once more")
