"""A property: whatever happens to a builder over the host's store, in whatever order, nothing of the host's is lost.

No path that the host has rooted changes or vanishes, no build in the guest meets an input that is missing or half
there, nobody waits for ever, and no mount is left. Another life: HISTORY_SEED=7; a longer one: HISTORY_STEPS=1000.
"""

import os
import random

import pytest

from integration.suite.history import History
from integration.suite.recipes import cookbook
from integration.suite.sharing import open_daemon
from integration.suite.site import STATE, Site
from integration.suite.witness import mounts, overlays

SEED = int(os.environ.get("HISTORY_SEED", "4"))
STEPS = int(os.environ.get("HISTORY_STEPS", "110"))
RECIPES = 14
HOSTS_ROOTS = "/nix/var/nix/gcroots/darling-builder"
REGISTRATION, LOCAL_OVERLAY = "registration", "local-overlay"


@pytest.mark.parametrize(
    ("machine", "way"), [("trixie", REGISTRATION), ("sid", LOCAL_OVERLAY)], indirect=["machine"], scope="module"
)
def test_whatever_happens_the_host_loses_nothing_and_every_build_ends(site: Site, way: str) -> None:
    before = mounts(site)
    if way == LOCAL_OVERLAY:
        open_daemon(site)
    site.set(store="overlay", store_validity=way).tool("init")
    luck = random.Random(f"{SEED} {way}")  # noqa: S311 - no secret
    history = History(site, cookbook(luck, RECIPES), luck)
    try:
        history.live(STEPS)
        history.end()
    except BaseException as error:
        error.add_note("\n".join([f"HISTORY_SEED={SEED} HISTORY_STEPS={STEPS}, {way}:", *history.lived]))
        raise
    assert history.shared > history.built // 2, f"{history.shared} of {history.built} builds shared all their inputs"
    assert mounts(site) == before

    site.tool("uninstall", "--purge")

    history.look()
    assert (overlays(site), mounts(site)) == ([], before)
    assert not site.file(STATE).exists()
    assert not site.file(HOSTS_ROOTS).exists()
    site.machine.run("nix-store", "--verify", "--check-contents")
