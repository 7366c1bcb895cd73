"""The options that every suite here understands, and the third verdict beside passed and failed: mended."""

from pathlib import Path

import pytest

from integration.conformance.defect import MENDED

# A directory of a random name is made in it.
PLACE = Path("/var/tmp")  # noqa: S108


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("darlingbuilder")
    group.addoption("--darling", type=Path, help="launcher of a real Darling; default: the stand-in")
    group.addoption("--darling-user", help="ordinary user for the launcher's conformance suite; default: nobody")
    group.addoption("--nix-tarball", type=Path, help="release tarball of Nix that runs in the given Darling")
    group.addoption("--newer-nix-tarball", type=Path, help="another one, to change to")
    group.addoption(
        "--darling-dir", type=Path, default=PLACE, help="where prefixes are made: no overlay, no NFS (%(default)s)"
    )
    group.addoption("--shim", type=Path, help="compat.dylib that the suite for a real Darling is to test")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    mended = [
        (report.nodeid, text)
        for report in terminalreporter.getreports("passed")
        for name, text in report.user_properties
        if name == MENDED
    ]
    if mended:
        terminalreporter.section("defects that this Darling does not have")
    for nodeid, text in mended:
        terminalreporter.line(f"mended: {nodeid.rpartition('::')[2]}: {text}")
