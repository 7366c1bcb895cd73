"""The fakes of the unit tests, held against reality: the machine's own systemd, Nix, OpenSSH, users and Darling.

The tests are those of tests/adapters, run by the machine's Python with the installed darlingbuilder; there they find
the real thing beside each fake.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import Distribution, requires
from pathlib import Path

import pytest

from integration.suite.site import Site

PROJECT = Path(__file__).parents[2]
PLACE = "/opt/contracts"
PYTHON = "/opt/darlingbuilder/bin/python"

# By contract, what the real one's tests are called.
CONTRACTS = {
    "accounts": "real",
    "darling": "real",
    "nix": "RealHost",
    "nix_settings": "real",
    "ssh": "real",
    "ssh_session": "real",
    "systemd": "real",
}
FILES = {"ssh": "test_ssh.py"}


@pytest.fixture(scope="module")
def equipped(site: Site) -> Site:
    """The machine with the unit tests on it, and a pytest that no Debian package brings into a root."""
    place = site.file(PLACE)
    place.mkdir()
    shutil.copytree(PROJECT / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", place)
    for distribution in with_requirements("pytest"):
        lay(distribution, place / "site")
    return site


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_real_one_keeps_the_contract_that_its_fake_keeps(equipped: Site, contract: str) -> None:
    file = FILES.get(contract, f"test_{contract}_contract.py")
    completed = equipped.machine.run(
        PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--tb=short", f"tests/adapters/{file}",
        cwd=PLACE, timeout=120, check=False,
        env={"PYTHONPATH": f"{PLACE}/site", "PYTHONDONTWRITEBYTECODE": "1", "THIS_MACHINE_MAY_BE_CHANGED": "yes"},
    )  # fmt: skip

    assert completed.rc == 0, completed.stdout + completed.stderr
    ends = Counter(re.findall(rf"^(\w+) \S+\[{CONTRACTS[contract]}[]-]", completed.stdout, re.MULTILINE))
    assert list(ends) == ["PASSED"], completed.stdout


def with_requirements(name: str, seen: frozenset[str] = frozenset()) -> Iterator[Distribution]:
    """Give an installed distribution and all that it needs on this Python, each once."""
    if name in seen:
        return
    yield Distribution.from_name(name)
    for required in requires(name) or []:
        word = re.match(r"[\w.-]+", required)
        if word and ";" not in required:
            yield from with_requirements(word[0], seen | {name})


def lay(distribution: Distribution, place: Path) -> None:
    """Copy the modules of a distribution to ``place``."""
    for file in distribution.files or []:
        if not file.is_absolute() and ".." not in file.parts and file.suffix != ".pyc":
            target = place / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(distribution.locate_file(file)), target)
