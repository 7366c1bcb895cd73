"""The names of environment variables of ours that are no settings; a build of the package reads them here as well."""

# The settings file.
CONFIG = "DARLINGBUILDER_CONFIG"
# The command of the zig that builds what runs in the guest, where it is not to be PyPI's (hatch_build.py).
ZIG = "DARLINGBUILDER_ZIG"
