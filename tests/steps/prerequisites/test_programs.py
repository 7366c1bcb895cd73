"""The tools and the launcher."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import programs
from darlingbuilder.steps.prerequisites.finding import Check, Level
from tests.fakes.darling import FakeDarling
from tests.steps.prerequisites.machine import fit

SETUID = 0o104755


def test_with_every_tool_all_is_well(tmp_path: Path) -> None:
    assert programs.tools(fit(tmp_path)).level is Level.OK


@pytest.mark.parametrize(
    ("os_release", "hint"),
    [
        ("ID=debian\n", "apt install openssh-client passwd"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "apt install openssh-client passwd"),
        ("ID=arch\n", "pacman -S --needed openssh shadow"),
        ("ID='nixos'\n", "environment.systemPackages = with pkgs; [ openssh shadow ];"),
    ],
)
def test_missing_tools_are_named_with_the_packages_of_the_distribution(
    tmp_path: Path, os_release: str, hint: str
) -> None:
    surroundings = fit(tmp_path)
    surroundings.world.host.write(Path("/etc/os-release"), os_release.encode())
    missing = {"ssh", "userdel"}

    verdict = programs.tools(replace(surroundings, find=lambda name: None if name in missing else Path("/usr/bin")))

    assert (verdict.level, verdict.detail, verdict.hint) == (Level.FAILURE, "not found: ssh, userdel", hint)


@pytest.mark.parametrize("os_release", [None, b"", b"ID=gentoo\n", b"\xff\n", b"no equals sign\n"])
def test_on_an_unknown_distribution_every_package_is_named(tmp_path: Path, os_release: bytes | None) -> None:
    surroundings = fit(tmp_path)
    surroundings.world.host.remove(Path("/etc/os-release"))
    if os_release is not None:
        surroundings.world.host.write(Path("/etc/os-release"), os_release)

    verdict = programs.tools(replace(surroundings, find=lambda _name: None))

    assert all(word in verdict.hint for word in ("apt install", "pacman -S", "environment.systemPackages"))


@pytest.mark.parametrize(
    ("mode", "uid", "nosuid", "says"),
    [
        (0o100755, 0, False, "not setuid root (mode 0755, owner 0)"),
        (SETUID, 1000, False, "not setuid root (mode 4755, owner 1000)"),
        (0o104700, 0, False, "cannot be executed by everybody"),
        (SETUID, 0, True, "mounted nosuid"),
    ],
)
def test_a_launcher_that_does_not_become_root_is_refused(mode: int, uid: int, says: str, *, nosuid: bool) -> None:
    verdict = programs.judge_launcher(Path("/usr/bin/darling"), mode=mode, uid=uid, nosuid=nosuid)

    assert verdict.level is Level.FAILURE
    assert says in verdict.detail
    assert verdict.hint


def test_a_setuid_launcher_of_root_is_right() -> None:
    verdict = programs.judge_launcher(Path("/usr/bin/darling"), mode=SETUID, uid=0, nosuid=False)

    assert verdict.level is Level.OK


@dataclass(slots=True)
class DarlingAt(FakeDarling):
    """One whose launcher is a file that there is."""

    def launcher(self) -> Path:
        """See Darling."""
        return self.prefix.parent / "darling"


def test_a_launcher_that_was_built_and_not_installed_is_refused(tmp_path: Path) -> None:
    surroundings = fit(tmp_path)
    (tmp_path / "darling").touch(mode=0o755)
    darling = DarlingAt(tmp_path / "prefix", "darlingbuilder", surroundings.world.accounts)

    verdict = programs.launcher(replace(surroundings, world=replace(surroundings.world, darling=darling)))

    assert "not setuid root" in verdict.detail


def test_without_darling_the_finding_says_how_to_install_it(tmp_path: Path) -> None:
    surroundings = fit(tmp_path)
    darling = FakeDarling(tmp_path / "prefix", "darlingbuilder", surroundings.world.accounts, installed=False)

    finding = Check("launcher", "it boots the guest", programs.launcher).find(
        replace(surroundings, world=replace(surroundings.world, darling=darling))
    )

    assert (finding.level, finding.hint) == (Level.FAILURE, "install Darling")


def test_without_a_limit_of_the_store_nothing_is_needed_for_one(tmp_path: Path) -> None:
    assert programs.limit(replace(fit(tmp_path), find=lambda _name: None)).level is Level.OK


def test_a_limit_of_the_store_needs_loop_devices_and_e2fsprogs(tmp_path: Path) -> None:
    surroundings = fit(tmp_path, Settings(store_size="10G"))

    assert "loop devices" in programs.limit(surroundings).detail
    surroundings.world.host.write(Path("/dev/loop-control"), b"")
    assert programs.limit(surroundings).level is Level.OK
    verdict = programs.limit(replace(surroundings, find=lambda name: None if name == "e2fsck" else Path("/sbin")))
    assert (verdict.level, "e2fsck" in verdict.detail, "e2fsprogs" in verdict.hint) == (Level.FAILURE, True, True)
