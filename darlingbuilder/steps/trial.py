"""The derivation that a builder, or a Nix alone, is tried with: a file and a link, which no cache can have."""

from pathlib import Path

from darlingbuilder.core.machines import SYSTEM
from darlingbuilder.core.tree import Tree


def name(nonce: str) -> str:
    """Give the derivation's name."""
    return f"darlingbuilder-test-{nonce}"


def expression(nonce: str, features: tuple[str, ...] = ()) -> str:
    """Give a derivation that nobody has built before; it needs neither nixpkgs nor a PATH."""
    # The shell must be the last to end: a shell becomes its last command, and Nix kills a builder that has closed
    # its output (LocalDerivationGoal::buildDone), as coreutils do a moment before they exit.
    script = f"/bin/mkdir $out; echo {nonce} > $out/nonce; /bin/ln -s nonce $out/link; exit 0"
    needed = " ".join(f'"{feature}"' for feature in features)
    return (
        f'derivation {{ name = "{name(nonce)}"; system = "{SYSTEM}"; builder = "/bin/sh"; '
        f'args = [ "-e" "-c" "{script}" ]; requiredSystemFeatures = [ {needed} ]; '
        "preferLocalBuild = false; allowSubstitutes = false; }"
    )


def is_right(tree: Tree, output: Path, nonce: str) -> bool:
    """Whether ``output`` in ``tree`` holds what the derivation makes."""
    return tree.read(output / "nonce") == f"{nonce}\n".encode() and tree.link(output / "link") == "nonce"
