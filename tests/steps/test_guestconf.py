"""The guest's nix.conf."""

import os
from collections.abc import Mapping

import pytest

from darlingbuilder.core.settings import Settings
from darlingbuilder.steps import guestconf

CACHE = "https://cache.nixos.org/"
KEY = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="


def said(settings: Settings, host: Mapping[str, object] | None = None) -> dict[str, str]:
    """Read nix.conf as Nix does: comments away, a name and a value a line."""
    lines = (line.partition("#")[0] for line in guestconf.text(settings, host or {}).splitlines())
    pairs = (line.partition("=") for line in lines if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_what_a_darling_guest_cannot_do_without_is_said() -> None:
    conf = said(Settings())

    assert conf["build-users-group"] == ""
    assert conf["sandbox"] == "false"
    assert conf["system"] == "x86_64-darwin"
    assert conf["extra-platforms"] == ""
    assert conf["builders"] == ""
    assert conf["experimental-features"] == "nix-command flakes"


def test_jobs_and_cores_are_the_settings() -> None:
    conf = said(Settings(max_jobs=7, cores=3))

    assert (conf["max-jobs"], conf["cores"]) == ("7", "3")


def test_the_guest_s_nix_has_the_features_that_the_builder_offers() -> None:
    conf = said(Settings(supported_features=["apple", "big-parallel"], mandatory_features=["apple"]))

    assert conf["extra-system-features"] == "apple big-parallel"
    assert "extra-system-features" not in said(Settings())


def test_auto_is_the_number_of_processors() -> None:
    assert said(Settings(max_jobs="auto"))["max-jobs"] == str(os.cpu_count())


def test_free_space_is_said_in_bytes_and_only_if_set() -> None:
    conf = said(Settings(min_free="1G", max_free="2G"))

    assert (conf["min-free"], conf["max-free"]) == (str(2**30), str(2**31))
    assert "min-free" not in said(Settings())


def test_the_host_s_caches_and_keys_are_taken_over() -> None:
    conf = said(Settings(), {"substituters": [CACHE, "s3://mine?region=eu"], "trusted-public-keys": [KEY]})

    assert conf["substituters"] == f"{CACHE} s3://mine?region=eu"
    assert conf["trusted-public-keys"] == KEY


def test_a_host_without_caches_has_a_guest_without() -> None:
    conf = said(Settings(), {"substituters": [], "trusted-public-keys": []})

    assert (conf["substituters"], conf["trusted-public-keys"]) == ("", "")


@pytest.mark.parametrize(
    "substituter",
    [
        "file:///srv/cache",
        "/srv/cache",
        "daemon",
        "local?root=/srv",
        "unix:///run/nix",
        "ssh://cache.local",
        "https://cache.local/#fragment",
        "https://a b",
        "https://cache.local/\nsandbox = true",
        17,
        None,
    ],
)
def test_a_substituter_that_means_nothing_in_the_guest_is_dropped(substituter: object) -> None:
    conf = said(Settings(), {"substituters": [substituter, CACHE]})

    assert conf["substituters"] == CACHE


@pytest.mark.parametrize("key", ["no-colon", "name:not base64", "name:#", "name:AA==\nbuilders = x", 1])
def test_a_key_that_is_none_is_dropped(key: object) -> None:
    assert said(Settings(), {"trusted-public-keys": [key, KEY, KEY]})["trusted-public-keys"] == KEY


@pytest.mark.parametrize("value", [None, "https://cache.nixos.org", 3, {}])
def test_settings_of_an_unknown_form_are_left_out(value: object) -> None:
    assert said(Settings(), {"substituters": value})["substituters"] == ""


def test_every_line_that_is_no_comment_assigns() -> None:
    conf = guestconf.text(Settings(min_free="1", max_free="2"), {"substituters": [CACHE]})

    assert all(line.startswith("#") or " =" in line for line in conf.splitlines())
