"""The kernel, ourselves, the service user and systemd."""

from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import system
from darlingbuilder.steps.prerequisites.finding import Check, Level
from tests.steps.prerequisites.machine import around, fit, fit_world


def test_root_is_who_must_call(tmp_path: Path) -> None:
    assert system.root(fit(tmp_path)).level is Level.OK
    assert system.root(replace(fit(tmp_path), uid=1000)).detail == "no: uid 1000"


def test_only_an_x86_64_runs_darling(tmp_path: Path) -> None:
    assert system.processor(fit(tmp_path)).level is Level.OK
    assert system.processor(replace(fit(tmp_path), processor="aarch64")).level is Level.FAILURE


@pytest.mark.parametrize(
    ("modules", "level"),
    [
        ({"/lib/modules/6.18.0/modules.dep": "kernel/fs/overlayfs/overlay.ko.xz:\n"}, Level.OK),
        ({"/lib/modules/6.18.0/modules.builtin": "kernel/fs/overlayfs/overlay.ko\n"}, Level.OK),
        (
            {"/run/booted-system/kernel-modules/lib/modules/6.18.0/modules.dep": "kernel/fs/overlayfs/overlay.ko:\n"},
            Level.OK,
        ),
        ({"/lib/modules/6.18.0/modules.dep": "kernel/fs/ext4/ext4.ko:\n"}, Level.FAILURE),
        ({"/lib/modules/6.1.0/modules.dep": "kernel/fs/overlayfs/overlay.ko:\n"}, Level.WARNING),
        ({}, Level.WARNING),
    ],
)
def test_overlayfs_may_be_a_module(tmp_path: Path, modules: dict[str, str], level: Level) -> None:
    surroundings = fit(tmp_path)
    surroundings.world.host.write(Path("/proc/filesystems"), b"\text4\n")
    for path, text in modules.items():
        surroundings.world.host.write(Path(path), text.encode())

    assert system.overlay(surroundings).level is level


def test_overlayfs_in_use_needs_no_module(tmp_path: Path) -> None:
    assert system.overlay(fit(tmp_path)).level is Level.OK


def test_a_kernel_without_a_namespace_is_refused(tmp_path: Path) -> None:
    surroundings = fit(tmp_path)
    assert system.namespaces(surroundings).level is Level.OK
    surroundings.world.host.remove(Path("/proc/self/ns/pid"))

    verdict = system.namespaces(surroundings)

    assert (verdict.level, "lacks: pid" in verdict.detail) == (Level.FAILURE, True)


@pytest.mark.parametrize(
    ("uid", "level"), [(None, Level.OK), (999, Level.OK), (0, Level.FAILURE), (1000, Level.WARNING)]
)
def test_the_service_user_is_nobody_else(tmp_path: Path, uid: int | None, level: Level) -> None:
    world = fit_world(tmp_path, Settings())
    if uid is not None:
        world.accounts.add("darlingbuilder", uid=uid)

    assert system.service_user(around(world, Settings())).level is level


def test_systemd_must_answer(tmp_path: Path) -> None:
    pytest.importorskip("pystemd")
    world = fit_world(tmp_path, Settings())
    assert system.bus(around(world, Settings())).level is Level.OK
    world.systemd.reachable = False

    finding = Check("systemd", "it runs the unit", system.bus).find(around(world, Settings()))

    assert (finding.level, finding.detail) == (Level.FAILURE, "systemd does not answer")


def test_a_machine_that_systemd_did_not_boot_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pystemd")
    surroundings = fit(tmp_path)
    surroundings.world.host.remove(Path("/run/systemd/system"))

    assert "not booted by systemd" in system.bus(surroundings).detail
