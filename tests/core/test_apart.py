"""Two builders of one host have nothing between them that one could take from the other."""

import pytest

from darlingbuilder.core.apart import check_apart
from darlingbuilder.core.errors import ConfigError
from tests.fakes.furnished import chosen

FIRST = chosen().settings


def test_builders_with_nothing_but_a_name_are_apart() -> None:
    names = ("second", "third", "metrics", "a", "thirteen-long")
    builders = [FIRST, *(chosen(instance=name, on_demand="true").settings for name in names)]
    for ours in builders:
        for other in builders:
            if ours is not other:
                check_apart(ours, other)


@pytest.mark.parametrize(
    ("flags", "says", "remedy"),
    [
        ({"port": "2222"}, "port = 2222 is that of the builder 'default'", "choose another: port = 2223"),
        ({"user": "darlingbuilder"}, "user: darlingbuilder is whom", "leave «user» out"),
        ({"key": "/etc/nix/darling-builder-key"}, "key: /etc/nix/darling-builder-key is", "leave «key» out"),
        ({"key": "/var/lib/darling-builder/my-key"}, "key: /var/lib/darling-builder/my-key is", "leave «key» out"),
        ({"state": "/var/lib/darling-builder/b"}, "state: /var/lib/darling-builder/b and /var", "or choose another"),
        ({"prefix": "/var/lib/darling-builder/guest/b"}, "prefix: /var/lib/darling-builder/guest and", "«prefix»"),
    ],
)
def test_what_two_would_share_is_refused_with_a_remedy(flags: dict[str, str], says: str, remedy: str) -> None:
    second = chosen(instance="second", **flags).settings

    with pytest.raises(ConfigError) as refused:
        check_apart(second, FIRST)

    assert str(refused.value).startswith(says)
    assert remedy in refused.value.hint


def test_the_port_of_an_sshd_behind_another_counts_where_it_is_used() -> None:
    waiting = chosen(on_demand="true", private_port="2400").settings
    with pytest.raises(ConfigError, match="port = 2400 is that of"):
        check_apart(chosen(instance="second", port="2400").settings, waiting)
    check_apart(chosen(instance="second", port="2400").settings, chosen(private_port="2400").settings)


def test_one_file_of_metrics_is_written_by_one_builder() -> None:
    file = {"metrics_textfile": "/var/lib/metrics/a.prom"}
    with pytest.raises(ConfigError, match="is written by the builder 'default'"):
        check_apart(chosen(instance="second", **file).settings, chosen(**file).settings)
