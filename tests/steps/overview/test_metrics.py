"""The metrics are what Prometheus reads, and tell what the overview does."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core import failures, marker
from darlingbuilder.core.paths import SSHD_CONFIG, Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.steps.layers import Outcome
from darlingbuilder.steps.look import look
from darlingbuilder.steps.overview import metrics, overview, tested
from tests.commands.builder import machine, make
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld
from tests.names import UNIT


@pytest.fixture
def world() -> Iterator[FakeWorld]:
    with machine() as made:
        yield made


@pytest.fixture
def made(world: FakeWorld) -> FakeWorld:
    return make(world)


def text(world: FakeWorld) -> str:
    recorded = marker.read(world.host, Paths(Settings()).marker)
    found = look(chosen(), recorded, world)
    return metrics.text(overview.of(Settings(), world, found, made=recorded is not None)).decode()


def figures(world: FakeWorld) -> dict[str, dict[tuple[str, ...], float]]:
    """Give the samples by metric and by the values of its labels."""
    families = text_string_to_metric_families(text(world))
    samples = [sample for family in families for sample in family.samples]
    return {
        name: {tuple(one.labels.values()): one.value for one in samples if one.name == name}
        for name in {one.name for one in samples}
    }


def test_every_metric_is_declared_with_help_and_type_and_is_ours(made: FakeWorld) -> None:
    families = {family.name: family for family in text_string_to_metric_families(text(made))}

    assert families.keys() == {metric.full_name.removesuffix("_total") for metric in metrics.METRICS}
    for metric in metrics.METRICS:
        family = families[metric.full_name.removesuffix("_total")]
        assert (family.type, family.documentation) == (
            "counter" if metric.name.endswith("_total") else "gauge",
            metric.help,
        )
        assert all(tuple(sorted(sample.labels)) == tuple(sorted(metric.labels)) for sample in family.samples)


def test_names_follow_the_conventions() -> None:
    for metric in metrics.METRICS:
        assert metric.full_name.startswith("darlingbuilder_")
        assert not metric.name.endswith(("_ms", "_minutes", "_percent", "_count", "_sum", "_bucket"))
        assert metric.help.endswith(".")


def test_a_builder_as_it_should_be(made: FakeWorld) -> None:
    seen = figures(made)

    assert seen["darlingbuilder_converged"] == {(): 1.0}
    assert seen["darlingbuilder_unit_state"][("active",)] == 1.0
    assert sum(seen["darlingbuilder_unit_state"].values()) == 1.0
    assert len(seen["darlingbuilder_unit_state"]) == len(Activity)
    assert seen["darlingbuilder_unit_restarts_total"] == {(): 0.0}
    assert seen["darlingbuilder_container_up"] == {(): 0.0}
    assert seen["darlingbuilder_slots"] == {(): 4.0}
    assert seen["darlingbuilder_slots_used"] == {(): 0.0}
    assert set(seen["darlingbuilder_drift"].values()) == {0.0}
    assert set(seen["darlingbuilder_collector_success"].values()) == {1.0}
    # What has not been, has no figure, rather than a wrong one.
    assert "darlingbuilder_test_success" not in seen
    assert "darlingbuilder_container_boot_time_seconds" not in seen


def test_drift_and_the_last_test_are_figures(made: FakeWorld) -> None:
    made.darling.files().remove(SSHD_CONFIG)
    outcomes = [Outcome("unit", "passed", 1.0, "", ""), Outcome("tcp", "failed", 0.5, "", "")]
    tested.record(Settings(), made.host, outcomes, build=True)

    seen = figures(made)

    assert seen["darlingbuilder_converged"] == {(): 0.0}
    assert seen["darlingbuilder_drift"][("sshd",)] == 1.0
    assert seen["darlingbuilder_test_success"] == {(): 0.0}
    assert seen["darlingbuilder_test_duration_seconds"] == {(): 1.5}


def test_with_the_bus_away_there_is_no_figure_of_the_unit_but_that(made: FakeWorld) -> None:
    made.systemd.reachable = False
    seen = figures(made)

    assert "darlingbuilder_unit_state" not in seen
    assert "darlingbuilder_unit_restarts_total" not in seen
    assert seen["darlingbuilder_collector_success"][("unit",)] == 0.0
    assert seen["darlingbuilder_collector_success"][("step.service",)] == 0.0
    assert ("service",) not in seen["darlingbuilder_drift"]


def test_without_a_builder_that_is_a_figure_too(world: FakeWorld) -> None:
    seen = figures(world)
    assert seen["darlingbuilder_converged"] == {(): 0.0}
    assert world.systemd.unit(UNIT).load == "not-found"


def test_an_open_breaker_is_a_figure(made: FakeWorld) -> None:
    assert figures(made)["darlingbuilder_breaker_open"] == {(): 0.0}
    failures.write(Settings(), made.host, failures.Record(3, "sshd has ended", since=5.0))
    found = figures(made)
    assert found["darlingbuilder_breaker_open"] == {(): 1.0}
    assert found["darlingbuilder_breaker_open_time_seconds"] == {(): 5.0}


def test_the_samples_of_another_instance_say_whose_they_are(made: FakeWorld) -> None:
    settings = chosen(instance="second").settings
    seen = overview.of(settings, made, [], made=False)

    samples = [
        one for family in text_string_to_metric_families(metrics.text(seen).decode()) for one in family.samples
    ]

    assert {one.labels["builder"] for one in samples} == {"second"}
