"""The profile's generations: an upgrade, its end, and the way back."""

from pathlib import Path

import pytest

from darlingbuilder.core.links import Links
from darlingbuilder.core.storepath import below
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.profile import TOOLS, Generation, Profile

OLD = "/nix/store/zhkrf34sb7x28l10jzzzmf809cl6rxw3-nix-2.19.3"
NEW = "/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-2.31.2"
OTHER = "/nix/store/bqg94fwvy9kci689wrk5rgx8a95ljx9y-nix-2.20.3"


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Give the empty profile of a store that holds three versions."""
    for path in (OLD, NEW, OTHER):
        for tool in TOOLS:
            file = below(tmp_path, path) / "bin" / tool
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
    return Profile(Tree(tmp_path / "nix", Links.REFUSED), owner=None)


def default(profile: Profile) -> str | None:
    return profile.tree.link(Path("/var/nix/profiles/default"))


def test_an_empty_profile_has_no_generation(profile: Profile) -> None:
    assert profile.current() is None
    assert profile.previous() is None
    assert profile.fall_back() is None


def test_the_first_selection_is_the_first_generation(profile: Profile) -> None:
    profile.select(OLD)

    assert default(profile) == "default-1-link"
    assert profile.tree.link(Path("/var/nix/profiles/default-1-link")) == OLD
    assert (profile.current(), profile.previous()) == (Generation(1, OLD), None)


def test_an_upgrade_keeps_the_generation_before(profile: Profile) -> None:
    profile.select(OLD)

    profile.select(NEW)

    assert (profile.current(), profile.previous()) == (Generation(2, NEW), Generation(1, OLD))


def test_selecting_what_is_selected_changes_nothing(profile: Profile) -> None:
    profile.select(OLD)
    profile.select(NEW)

    profile.select(NEW)

    assert profile.generations() == [Generation(1, OLD), Generation(2, NEW)]


def test_once_the_new_one_has_answered_the_old_one_goes(profile: Profile) -> None:
    profile.select(OLD)
    profile.select(NEW)

    profile.settle()

    assert profile.generations() == [Generation(2, NEW)]
    assert profile.current() == Generation(2, NEW)


def test_settling_twice_is_fine(profile: Profile) -> None:
    profile.select(OLD)
    profile.settle()
    profile.settle()

    assert profile.generations() == [Generation(1, OLD)]


def test_what_does_not_answer_is_fallen_back_from_and_remembered(profile: Profile) -> None:
    profile.select(OLD)
    profile.select(NEW)

    assert profile.fall_back() == Generation(1, OLD)

    assert default(profile) == "default-1-link"
    assert profile.unanswered() == Generation(2, NEW)
    assert profile.fall_back() is None


def test_what_did_not_answer_can_be_tried_again(profile: Profile) -> None:
    profile.select(OLD)
    profile.select(NEW)
    profile.fall_back()

    profile.select(NEW)

    assert (profile.current(), profile.previous()) == (Generation(2, NEW), Generation(1, OLD))


def test_what_did_not_answer_is_never_fallen_back_to(profile: Profile) -> None:
    profile.select(OLD)
    profile.select(NEW)
    profile.fall_back()

    profile.select(OTHER)

    assert profile.current() == Generation(2, OTHER)
    assert profile.fall_back() == Generation(1, OLD)


def test_a_downgrade_is_a_generation_of_its_own(profile: Profile) -> None:
    profile.select(OLD)
    profile.select(NEW)

    profile.select(OLD)

    assert profile.current() == Generation(3, OLD)
    assert profile.fall_back() == Generation(2, NEW)


def test_a_generation_whose_nix_is_gone_is_nothing_to_fall_back_to(profile: Profile) -> None:
    profile.select(OLD)
    profile.select(NEW)
    profile.tree.remove(Path("/store") / Path(OLD).name)

    assert profile.previous() is None
    assert profile.fall_back() is None
    assert profile.current() == Generation(2, NEW)


@pytest.mark.parametrize("target", ["/etc", "default-7-link", "../../../../etc/passwd", "default-1-link/../x"])
def test_a_profile_that_leads_elsewhere_has_no_current_generation(profile: Profile, target: str) -> None:
    profile.select(OLD)
    profile.tree.write_link(Path("/var/nix/profiles/default"), target)

    assert profile.current() is None

    profile.select(NEW)
    assert profile.current() == Generation(2, NEW)


@pytest.mark.parametrize("target", [f"{NEW}\udcff", f"{NEW}\x1b[2J", f"{NEW}/bin", "/etc", "x"])
def test_what_leads_to_no_store_path_is_no_generation(profile: Profile, target: str) -> None:
    profile.select(OLD)
    profile.tree.write_link(Path("/var/nix/profiles/default-1-link"), target)
    assert (profile.current(), profile.generations()) == (None, [])

    profile.select(NEW)
    assert (profile.current(), profile.generations()) == (Generation(2, NEW), [Generation(2, NEW)])


def test_a_number_after_which_there_is_none_is_no_end(profile: Profile) -> None:
    profile.select(OLD)
    profile.tree.write_link(Path("/var/nix/profiles/default-999999999-link"), NEW)
    profile.tree.write_link(Path("/var/nix/profiles/default"), "default-999999999-link")

    profile.select(OTHER)

    assert (profile.current(), profile.generations()) == (Generation(1, OTHER), [Generation(1, OTHER)])


def test_a_number_that_something_else_has_taken_is_passed_by(profile: Profile) -> None:
    profile.select(OLD)
    profile.tree.make_directory(Path("/var/nix/profiles/default-2-link"))
    profile.select(NEW)
    assert profile.current() == Generation(3, NEW)


def test_a_generation_that_leads_out_of_the_store_is_nothing_to_fall_back_to(profile: Profile) -> None:
    profile.tree.write_link(Path("/var/nix/profiles/default-1-link"), "/Volumes/SystemRoot/etc")
    profile.tree.write_link(Path("/var/nix/profiles/default"), "default-1-link")
    profile.select(NEW)

    assert profile.previous() is None
