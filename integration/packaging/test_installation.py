"""``pip install`` of the wheel on an empty Debian, where no zig is: the tool works, its shim and probes included."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder import __version__
from integration.machine.machine import Machine
from integration.packaging import distributions
from integration.packaging.distributions import BUILT, checkout
from integration.packaging.wheelhouse import RELEASES, WHEELS, Release, empty_debian, wheelhouse
from integration.suite.equipment import stand_in

PREREQUISITE = 5
HOME = "/opt/darlingbuilder"
DIST = "/srv/dist"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel in it."""
    place = tmp_path_factory.mktemp("installation")
    return distributions.wheel(checkout(place / "sources"), place / "dist").parent


@pytest.fixture(scope="module", params=RELEASES)
def machine(request: pytest.FixtureRequest, dist: Path) -> Iterator[Machine]:
    """A machine without network, with a Darling, on which the wheel was installed as the README says."""
    release: Release = request.param
    binds = {WHEELS: wheelhouse(release), DIST: dist}
    with Machine.create(empty_debian(release), layers=[stand_in(mended=False)], read_only_binds=binds) as machine:
        machine.boot()
        machine.run("python3", "-m", "venv", HOME)
        machine.run("sh", "-c", f"{HOME}/bin/pip install --no-index --find-links {WHEELS} {DIST}/*.whl", timeout=180)
        yield machine


def doctor(machine: Machine, *flags: str) -> tuple[int, dict[str, dict[str, object]]]:
    said = machine.run(f"{HOME}/bin/darlingbuilder", "doctor", "--json", *flags, check=False, timeout=120)
    assert "Traceback" not in said.stderr
    return said.rc, {found["name"]: found for found in json.loads(said.stdout)["findings"]}


def test_there_is_no_zig_and_the_shim_is_there(machine: Machine) -> None:
    assert machine.run("find", "/", "-xdev", "(", "-name", "zig", "-o", "-name", "ziglang*", ")").stdout == ""
    found = machine.run(
        f"{HOME}/bin/python", "-c", "from darlingbuilder.core import shim; print(shim.dylib().parent)"
    )
    guest = found.stdout.strip()
    assert guest.startswith(f"{HOME}/lib/")
    assert machine.run("ls", guest).stdout.split() == sorted(BUILT)
    assert machine.run(f"{HOME}/bin/darlingbuilder", "--version").stdout == f"darlingbuilder {__version__}\n"


def test_doctor_says_what_an_empty_machine_lacks(machine: Machine) -> None:
    code, findings = doctor(machine, "--darling", "/nowhere/darling")

    assert code == PREREQUISITE
    assert findings["launcher"]["level"] == "failure"
    assert [found["name"] for found in findings.values() if found["level"] == "failure" and not found["hint"]] == []
    assert "/nowhere/darling" in str(findings["launcher"]["detail"])


def test_doctor_probes_the_darling(machine: Machine) -> None:
    _, findings = doctor(machine)

    assert findings["boot"]["level"] == "ok"
    assert findings["exit after kill"]["figure"] == 0
    assert findings["sshd ipv4"]["figure"] == "dies"
    # A real Darling runs the probe, the stand-in, which is Linux, does not: it was there to be tried.
    assert "the guest cannot run the probe" in str(findings["lchflags"]["detail"])
