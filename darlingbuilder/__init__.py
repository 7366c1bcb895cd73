"""Turn a Linux machine into its own x86_64-darwin Nix builder, with Darling."""

__version__ = "0.1.0"
