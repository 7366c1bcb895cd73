"""What is named after a builder."""

from dataclasses import fields
from pathlib import Path

from darlingbuilder.core.instance import DEFAULT, Instance

NAMES = [name for name, value in vars(Instance).items() if isinstance(value, property) and not name.startswith("_")]


def all_of(instance: Instance) -> dict[str, str]:
    return {name: str(getattr(instance, name)) for name in NAMES}


def test_the_builder_that_most_hosts_have_alone_needs_no_name() -> None:
    ours = Instance()
    assert ours.name == DEFAULT
    assert [field.name for field in fields(ours)] == ["name"]
    assert (ours.unit, ours.alias) == ("darling-builder.service", "darling-builder")
    assert not any(DEFAULT in text for text in all_of(ours).values())


def test_units_of_another_are_instances_to_systemd_and_its_alias_is_a_host() -> None:
    second = Instance("second")
    assert second.unit == "darling-builder@second.service"
    assert second.unit_file == Path("/etc/systemd/system/darling-builder@second.service")
    assert second.alias == "darling-builder-second"


def test_nothing_is_called_the_same_in_two_instances_whatever_their_names() -> None:
    # given: names that might be taken for what stands beside them
    instances = [
        Instance(name) for name in (DEFAULT, "second", "metrics", "proxy", "host", "keys", "ssh", "machines")
    ]
    # when
    said = [text for instance in instances for text in all_of(instance).values()]
    # then
    assert len(set(said)) == len(said)
