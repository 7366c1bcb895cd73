"""The package and the module for Nix, and what writes their facts."""
