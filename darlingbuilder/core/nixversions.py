"""The versions of Nix whose x86_64-darwin store path is known."""

from types import MappingProxyType

from darlingbuilder.core.errors import ConfigError

# From nixpkgs' and Nix's own nix-fallback-paths.nix: what «nix upgrade-nix» installs, built and signed by Hydra.
PATHS = MappingProxyType(
    {
        "2.19.3": "/nix/store/zhkrf34sb7x28l10jzzzmf809cl6rxw3-nix-2.19.3",
        "2.20.3": "/nix/store/bqg94fwvy9kci689wrk5rgx8a95ljx9y-nix-2.20.3",
        "2.31.2": "/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-2.31.2",
    }
)

DEFAULT = "2.31.2"


def path_of(version: str) -> str:
    """Give the store path of ``version``. Raises ConfigError for one that is not known."""
    try:
        return PATHS[version]
    except KeyError:
        raise ConfigError(
            f"nix.version: the store path of Nix {version} for x86_64-darwin is not known",
            hint=f"known are {', '.join(PATHS)}; any other goes by nix.package, or by nix.tarball with nix.sha256",
        ) from None
