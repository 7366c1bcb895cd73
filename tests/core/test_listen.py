"""The addresses on which a builder takes connections."""

import pytest

from darlingbuilder.core import listen
from darlingbuilder.core.errors import ConfigError
from darlingbuilder.core.settings import Settings
from tests.fakes.furnished import chosen


@pytest.mark.parametrize(
    ("said", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("", ["127.0.0.1"]),
        ("192.0.2.7", ["127.0.0.1", "192.0.2.7"]),
        ("192.0.2.7,127.0.0.1,192.0.2.7", ["127.0.0.1", "192.0.2.7"]),
        ("::1", ["127.0.0.1", "::1"]),
        ("FD77:0::1", ["127.0.0.1", "fd77::1"]),
        # Beside all addresses, one of them could not be had.
        ("192.0.2.7,0.0.0.0", ["0.0.0.0"]),  # noqa: S104 - nobody listens
        ("fd77::1,::", ["127.0.0.1", "::"]),
        ("::,0.0.0.0,192.0.2.7", ["0.0.0.0", "::"]),  # noqa: S104 - nobody listens
    ],
)
def test_this_machine_itself_can_always_connect_and_no_address_is_taken_twice(
    said: str, addresses: list[str]
) -> None:
    assert list(listen.addresses(chosen(listen=said).settings)) == addresses


@pytest.mark.parametrize(
    ("said", "exposed"),
    [
        ("127.0.0.1", []),
        ("::1,127.0.0.9", []),
        ("192.0.2.7,::1", ["192.0.2.7"]),
        ("0.0.0.0", ["0.0.0.0"]),  # noqa: S104 - nobody listens
        ("::", ["::"]),
    ],
)
def test_what_others_reach_is_told_from_loopback(said: str, exposed: list[str]) -> None:
    assert list(listen.beyond_loopback(chosen(listen=said).settings)) == exposed


@pytest.mark.parametrize(
    "said",
    ["builder.example", "192.0.2", "192.0.2.7:2222", "192.0.2.0/24", "fe80::1%eth0", "224.0.0.1", "::ffff:1.2.3.4"],
)
def test_what_nobody_can_listen_on_is_refused(said: str) -> None:
    with pytest.raises(ConfigError, match="listen"):
        chosen(listen=said)


def test_an_address_with_its_port_is_written_as_systemd_reads_it() -> None:
    assert listen.socket_address("192.0.2.7", 2222) == "192.0.2.7:2222"
    assert listen.socket_address("fd77::1", 2222) == "[fd77::1]:2222"


def test_without_a_word_nothing_but_loopback_is_listened_on() -> None:
    assert listen.addresses(Settings()) == ("127.0.0.1",)
