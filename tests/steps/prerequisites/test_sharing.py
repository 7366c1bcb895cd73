"""Whether the host's store can be shared, and what is said where it cannot."""

from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder.core.owner import Owner
from darlingbuilder.core.paths import STORE
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.prerequisites import place, sharing
from darlingbuilder.steps.prerequisites.finding import Level
from tests.steps.prerequisites.machine import MOUNTS, fit

OVERLAY = Settings(store="overlay")
ON_NFS = f"{MOUNTS}40 22 0:40 / /nix rw - nfs4 server:/nix rw\n"
CANNOT = "it cannot be mounted id-mapped: Invalid argument"


def test_it_is_tried_on_the_store_as_the_service_user_would_see_it(tmp_path: Path) -> None:
    tried: list[tuple[Path, Owner]] = []

    def shareable(store: Path, owner: Owner) -> str:
        tried.append((store, owner))
        return ""

    surroundings = replace(fit(tmp_path, OVERLAY), shareable=shareable)

    assert sharing.store(surroundings).level is Level.OK
    [(store, owner)] = tried
    assert store == tmp_path / STORE.relative_to("/")
    assert owner.uid != 0


def test_where_it_cannot_be_an_overlay_is_refused_by_name_of_the_file_system(tmp_path: Path) -> None:
    surroundings = replace(fit(tmp_path, OVERLAY, mounts=ON_NFS), shareable=lambda _store, _owner: CANNOT)
    surroundings.world.host.make_directory(STORE)

    verdict = sharing.store(surroundings)

    assert verdict.level is Level.FAILURE
    assert "/nix/store on nfs4" in verdict.detail
    assert CANNOT in verdict.detail
    assert '"copy"' in verdict.hint


@pytest.mark.parametrize("mode", ["copy", "symlink"])
def test_who_does_not_share_it_need_not_be_able_to(tmp_path: Path, mode: str) -> None:
    settings = Settings(store=mode)  # type: ignore[arg-type]  # one of its values
    verdict = sharing.store(replace(fit(tmp_path, settings), shareable=lambda _store, _owner: CANNOT))

    assert verdict.level is Level.OK
    assert CANNOT in verdict.detail


def test_an_ordinary_user_is_not_told_that_it_cannot_be(tmp_path: Path) -> None:
    surroundings = replace(fit(tmp_path, OVERLAY), shareable=lambda _store, _owner: "not permitted", uid=1000)

    assert sharing.store(surroundings).level is Level.WARNING


@pytest.mark.parametrize(("mode", "level"), [("overlay", Level.FAILURE), ("copy", Level.OK)])
def test_an_upper_layer_on_an_overlay_is_refused(tmp_path: Path, mode: str, level: Level) -> None:
    mounts = f"{MOUNTS}40 22 0:40 / /var/lib rw - overlay overlay rw\n"
    settings = Settings(store=mode)  # type: ignore[arg-type]  # one of its values

    assert place.state(fit(tmp_path, settings, mounts=mounts)).level is level
