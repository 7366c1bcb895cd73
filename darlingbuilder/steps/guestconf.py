"""The guest's nix.conf: our settings, and what of the host's means something in the guest."""

import os
import re
from collections.abc import Mapping

from darlingbuilder.core import render
from darlingbuilder.core.paths import NIX_STORE_CONF
from darlingbuilder.core.settings import Settings, bytes_of

# A directory or a daemon of the host is none of the guest's. A «#» would make the rest of the line a comment.
_REMOTE = re.compile(r"(https?|s3)://[!-\"$-~]+\Z")
_KEY = re.compile(r"[^\s:#]+:[A-Za-z0-9+/]+=*\Z")


def text(settings: Settings, host: Mapping[str, object]) -> str:
    """Give nix.conf for ``settings`` and the settings in force on the ``host``."""
    shared = settings.shares_store
    # Nix itself would take the host's paths for garbage: «serve» looks after the free space there.
    min_free = 0 if shared else bytes_of(settings.min_free)
    return render.template(
        "nix.conf.j2",
        max_jobs=(os.cpu_count() or 1) if settings.max_jobs == "auto" else settings.max_jobs,
        cores=settings.cores,
        features=list(dict.fromkeys([*settings.supported_features, *settings.mandatory_features])),
        min_free=min_free,
        include=NIX_STORE_CONF.name if shared else "",
        max_free=bytes_of(settings.max_free),
        substituters=_sane(host.get("substituters"), _REMOTE),
        trusted_public_keys=_sane(host.get("trusted-public-keys"), _KEY),
    )


def _sane(values: object, pattern: re.Pattern[str]) -> list[str]:
    """Give those of the host's ``values``, each once, that ``pattern`` describes."""
    if not isinstance(values, list):
        return []
    return list(dict.fromkeys(value for value in values if isinstance(value, str) and pattern.match(value)))
