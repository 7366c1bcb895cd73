"""The options that every suite here understands."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("darlingbuilder")
    group.addoption("--darling", type=Path, help="launcher of a real Darling; default: the stand-in")
    group.addoption("--darling-user", help="ordinary user for the launcher's conformance suite; default: nobody")
    group.addoption("--nix-tarball", type=Path, help="release tarball of Nix that runs in the given Darling")
    group.addoption("--newer-nix-tarball", type=Path, help="another one, to change to")
