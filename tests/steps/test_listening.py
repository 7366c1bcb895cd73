"""The guest's sshd on Darlings with every combination of defects, and what is done about them.

Scripts are run by a real shell, and the sshd is a real process; what corrects a defect is named in their environment.
"""

from collections.abc import Iterator
from itertools import combinations

import pytest

from darlingbuilder.core import shim
from darlingbuilder.core.errors import DarlingError
from darlingbuilder.core.paths import SHIM, SSHD_CONFIG, Paths
from darlingbuilder.steps.corrections import IPV4, LINKS, SIGNALS, STRAY_LINES, Defect
from darlingbuilder.steps.listening import Listening
from darlingbuilder.steps.store import Store
from tests.fakes.live import SSHD, set_by, spelled_out
from tests.names import ALIAS
from tests.steps.running_builder import Site, site

# What is wrong by the name of the correction that cures it, in the order in which it shows.
DEFECTS = {"getsockopt": IPV4, "proc_pidinfo": STRAY_LINES, "lchflags": LINKS, "signals": SIGNALS}
COMBINATIONS = [frozenset(some) for size in range(len(DEFECTS) + 1) for some in combinations(DEFECTS, size)]
EVERY = frozenset(shim.CORRECTIONS)

each_combination = pytest.mark.parametrize("wrong", COMBINATIONS, ids=lambda some: ",".join(sorted(some)) or "none")


@pytest.fixture
def ours() -> Iterator[Site]:
    """Give a builder whose container is up, with its store mounted."""
    with site(boot_timeout="10") as made:
        up(made)
        yield made


def up(ours: Site) -> None:
    with Paths(ours.settings).boot_log.open("ab") as log:
        ours.darling.boot(log)
    Store(ours.settings, ours.world).mount()


def listening(ours: Site, *, wrong: frozenset[str] = frozenset(), **flags: str) -> Listening:
    """Give the sshd-to-be of a Darling with these defects."""
    ours.init(**flags)
    ours.darling.shell.defects |= wrong
    return Listening(ours.settings, ours.world)


def shown(wrong: frozenset[str]) -> list[Defect]:
    return [defect for name, defect in DEFECTS.items() if name in wrong]


def expected(wrong: frozenset[str]) -> frozenset[str]:
    """Give the cures of these defects, with what is in force beside any cure."""
    cures: frozenset[str] = frozenset().union(*(defect.cures for defect in shown(wrong)))
    return cures | {"accept", "poll"} if cures else cures


def in_force(ours: Site) -> tuple[frozenset[str], frozenset[str]]:
    """Give the corrections of the sshd that was started last, and of its sessions."""
    own, words = spelled_out(ours.darling.sshds[-1])
    names = [one.get("DARLINGBUILDER_COMPAT", "") for one in (own, set_by(words))]
    sshd, sessions = (frozenset(name.split(",")) - {""} for name in names)
    return sshd, sessions


@each_combination
def test_by_itself_it_uses_just_what_the_defects_need(ours: Site, wrong: frozenset[str]) -> None:
    sshd, corrections = listening(ours, wrong=wrong).start()

    assert corrections == expected(wrong)
    assert in_force(ours) == (corrections, corrections)
    assert len(ours.darling.sshds) == 1 + len(wrong)
    assert sshd.poll() is None
    assert ours.greets()


@each_combination
def test_with_always_all_is_in_force_from_the_first(ours: Site, wrong: frozenset[str]) -> None:
    _, corrections = listening(ours, wrong=wrong, compat="always").start()

    assert corrections == EVERY
    assert in_force(ours) == (EVERY, EVERY)
    assert len(ours.darling.sshds) == 1


@each_combination
def test_with_never_a_defect_is_named_with_its_remedy(ours: Site, wrong: frozenset[str]) -> None:
    never, defects = listening(ours, wrong=wrong, compat="never"), shown(wrong)
    if defects and not defects[0].bearable:
        with pytest.raises(DarlingError, match=r"compat is never") as caught:
            never.start()
        assert defects[0].meaning in str(caught.value)
        assert 'compat = "auto"' in caught.value.hint
    else:
        assert never.start()[1] == frozenset()
    assert in_force(ours) == (frozenset(), frozenset())


def test_with_never_signals_are_borne_and_remarked_on(ours: Site, capfd: pytest.CaptureFixture[str]) -> None:
    listening(ours, wrong=frozenset({"signals"}), compat="never").start()

    said = capfd.readouterr().err
    assert "warning: a defect of this Darling remains" in said
    assert SIGNALS.meaning in said
    assert 'compat = "auto"' in said


def test_what_is_corrected_is_said_in_one_line(ours: Site, capfd: pytest.CaptureFixture[str]) -> None:
    listening(ours, wrong=frozenset({"getsockopt", "lchflags"})).start()

    assert capfd.readouterr().err == (
        "the compat shim corrects this Darling why='it has defects: IPv4, links' "
        "corrections='accept, getsockopt, lchflags, poll'\n"
    )


def test_a_darling_without_defects_is_passed_over_in_silence(ours: Site, capfd: pytest.CaptureFixture[str]) -> None:
    listening(ours).start()
    assert capfd.readouterr().err == ""


def test_builds_can_be_left_as_they_are(ours: Site) -> None:
    _, corrections = listening(ours, wrong=frozenset(DEFECTS), compat_builds="false").start()

    assert corrections == EVERY - {"spawn"}
    assert in_force(ours) == (corrections, corrections)


@pytest.mark.parametrize("name", ["getsockopt", "proc_pidinfo", "lchflags"])
def test_a_correction_that_does_not_help_is_an_error(ours: Site, name: str) -> None:
    # given: there is no shim to be loaded
    listened = listening(ours, wrong=frozenset({name}))
    ours.darling.files().remove(SHIM)
    # then
    with pytest.raises(DarlingError, match="its correction does not cure") as caught:
        listened.start()
    assert DEFECTS[name].meaning in str(caught.value)
    assert "report it" in caught.value.hint


def test_the_corrections_are_added_to_what_sshd_sets_for_its_sessions(ours: Site) -> None:
    listening(ours, wrong=frozenset({"lchflags"})).start()

    words = ours.darling.sshds[-1]
    assert words[words.index(SSHD) :][:5] == (SSHD, "-D", "-e", "-f", str(SSHD_CONFIG))
    sessions = set_by(words)
    assert sessions.pop("DYLD_INSERT_LIBRARIES") == str(SHIM)
    assert sessions.pop("DARLINGBUILDER_COMPAT") == "accept,lchflags,poll"
    config = (ours.darling.files().read(SSHD_CONFIG) or b"").decode()
    assert f"SetEnv {' '.join(f'{name}={value}' for name, value in sessions.items())}\n" in config


def test_a_nix_that_takes_nothing_at_all_says_nothing_of_links(ours: Site) -> None:
    # given: it would be told to give way by its trial, which comes later
    listened = listening(ours)
    for text in ("exit 1", "kill -ILL 0"):
        ours.darling.shell.nixes["2.31.2"] = text
        assert listened.start()[1] == frozenset()
        ours.darling.kill_sshd()


def test_nothing_of_a_probe_is_left(ours: Site) -> None:
    listening(ours, wrong=frozenset(DEFECTS)).start()
    assert list((ours.darling.shell.place / "tmp").iterdir()) == []


def test_who_cannot_log_in_says_why(ours: Site) -> None:
    known_hosts = Paths(ours.settings).known_hosts
    known_hosts.write_text(f"{ALIAS} ssh-ed25519 AAAA\n")
    with pytest.raises(DarlingError, match="nobody can log in to the guest: Host key verification failed") as caught:
        Listening(ours.settings, ours.world).start()
    assert "logs" in caught.value.hint


def test_a_nix_that_hangs_hides_no_other_defect_and_is_left_to_its_trial(ours: Site) -> None:
    listened = listening(ours, wrong=frozenset({"signals"}), boot_timeout="1")
    ours.darling.shell.nixes["2.31.2"] = "sleep 30"
    assert "signals" in listened.start()[1]
