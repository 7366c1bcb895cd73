"""The compat shim on a Darling that has been repaired: none is needed, and none does harm."""

from pathlib import Path

import pytest

from integration.suite.equipment import Equipment
from integration.suite.site import PREFIX, Site
from integration.suite.test_compat import EVERY, LIBRARIES, SHIM, assert_builds, in_force
from integration.suite.test_doctor import examined


@pytest.fixture(scope="module")
def equipment(request: pytest.FixtureRequest) -> Equipment:
    """The stand-in without the defects; a real Darling is as it is."""
    given: Path | None = request.config.getoption("--darling")
    if given:
        pytest.skip("shown with the stand-in alone")
    return Equipment.of(None, None, mended=True)


def started(site: Site) -> str:
    return site.machine.run("ps", "-eo", "args", "ww").stdout


def test_by_itself_the_builder_uses_no_correction(builder: Site) -> None:
    assert in_force(builder) == []
    assert "corrections in force: none\n" in builder.tool("status").stdout
    assert LIBRARIES not in started(builder)
    builder.assert_healthy()
    assert_builds(builder)


def test_never_does_without_the_shim(builder: Site) -> None:
    builder.set(compat="never").tool("init")

    assert in_force(builder) == []
    assert not builder.file(f"{PREFIX}{SHIM}").exists()
    builder.assert_healthy()
    assert_builds(builder)


@pytest.mark.parametrize("builds", [True, False], ids=["in-builds", "not-in-builds"])
def test_always_does_no_harm(builder: Site, *, builds: bool) -> None:
    builder.set(compat="always", compat_builds=builds).tool("init")

    assert in_force(builder) == [name for name in EVERY if builds or name != "spawn"]
    assert LIBRARIES in started(builder)
    builder.assert_healthy()
    assert_builds(builder)


def test_doctor_finds_none_of_the_defects(builder: Site) -> None:
    _, findings, _ = examined(builder)

    assert {name: findings[name]["level"] for name in ("sshd ipv4", "sshd output", "process group")} == {
        "sshd ipv4": "ok", "sshd output": "ok", "process group": "ok",
    }  # fmt: skip
