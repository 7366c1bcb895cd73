"""How Nix's tools are called."""

from pathlib import Path

from darlingbuilder.adapters import nixtool


def test_a_store_behind_a_link_is_named_as_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "a disk").mkdir()
    (tmp_path / "state").symlink_to("a disk")

    flags = nixtool.store_flags(tmp_path / "state")

    assert flags == ("--store", f"local?root={tmp_path.resolve()}/a%20disk")


def test_the_hosts_own_store_needs_no_name() -> None:
    assert nixtool.store_flags(None) == ()
