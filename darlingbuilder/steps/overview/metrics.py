"""The metrics of the builder for Prometheus: each declared once, with what it means and where it is found."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from darlingbuilder import __version__
from darlingbuilder.adapters.systemd import Activity
from darlingbuilder.core.instance import DEFAULT
from darlingbuilder.steps.overview.overview import Overview

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

# The values of a metric's labels, and its value.
Sample = tuple[Sequence[str], float]
# Where an overview's errors name more than one collector.
_COLLECTORS = (
    "unit",
    "container",
    "nix.host",
    "nix.guest",
    "store",
    "slots",
    "builds",
    "keys.client",
    "keys.host",
    "clients",
    "tested",
    "breaker",
)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric without its prefix; what is not known has no sample. A counter's name ends in «_total»."""

    name: str
    help: str
    samples: Callable[[Overview], Iterable[Sample]]
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name as Prometheus has it."""
        return f"darlingbuilder_{self.name}"


def _known(value: float | None) -> list[Sample]:
    return [] if value is None else [((), float(value))]


def _versions(seen: Overview) -> list[Sample]:
    return [((__version__, seen.nix.host or "", seen.nix.guest or ""), 1.0)]


def _store(seen: Overview) -> list[Sample]:
    return [(("own",), float(seen.store.own)), (("shared",), float(seen.store.shared))] if seen.store else []


def _states(seen: Overview) -> Iterator[Sample]:
    current = seen.state.partition(" ")[0]
    if any(current == activity.value for activity in Activity):
        yield from (((activity.value,), float(current == activity.value)) for activity in Activity)


def _steps(seen: Overview) -> Iterator[Sample]:
    yield from (((step.step,), float(len(step.drift))) for step in seen.steps if step.error is None)


def _asked(seen: Overview) -> Iterator[Sample]:
    failed = {error.part for error in seen.errors} | {f"step.{step.step}" for step in seen.steps if step.error}
    parts = (*_COLLECTORS, *(f"step.{step.step}" for step in seen.steps))
    yield from (((part,), float(part not in failed)) for part in parts)


METRICS = (
    Metric("info", "Versions of this and of both Nixes.", _versions, ("version", "nix_host", "nix_guest")),
    Metric("unit_state", "Whether the unit is in this state of systemd's.", _states, ("state",)),
    Metric("unit_active_time_seconds", "When the unit last became active.", lambda seen: _known(seen.since)),
    Metric(
        "unit_restarts_total",
        "How often systemd has restarted the unit by itself.",
        lambda seen: _known(seen.restarts) if list(_states(seen)) else [],
    ),
    Metric("container_up", "Whether the container runs.", lambda seen: _known(seen.container is not None)),
    Metric("container_boot_time_seconds", "When the container was booted.", lambda seen: _known(seen.booted)),
    Metric(
        "sshd_up",
        "Whether the sshd of the guest answers with an SSH banner.",
        lambda seen: _known((seen.banner or "").startswith("SSH-")),
    ),
    Metric(
        "store_bytes",
        "What the valid paths of the guest's store take as archives: those of its own, those shared with the host.",
        _store,
        ("whose",),
    ),
    Metric(
        "store_free_bytes",
        "What the guest's store has left.",
        lambda seen: _known(seen.store.free if seen.store else None),
    ),
    Metric("slots", "How many builds the host's Nix sends at once.", lambda seen: _known(seen.slots.max)),
    Metric("slots_used", "How many of them it has given out.", lambda seen: _known(seen.slots.used)),
    Metric("builds", "Sessions of the host's Nix in the guest.", lambda seen: _known(len(seen.builds))),
    Metric(
        "oldest_build_start_time_seconds",
        "When the oldest of them began.",
        lambda seen: _known(min((one.since for one in seen.builds if one.since), default=None)),
    ),
    Metric("converged", "Whether the builder is what its settings say.", lambda seen: _known(seen.converged)),
    Metric("drift", "Differences of a step.", _steps, ("step",)),
    Metric(
        "test_success",
        "Whether the last test passed.",
        lambda seen: _known(seen.tested.passed if seen.tested else None),
    ),
    Metric(
        "test_time_seconds", "When the last test ended.", lambda seen: _known(seen.tested.at if seen.tested else None)
    ),
    Metric(
        "test_duration_seconds",
        "How long the last test took.",
        lambda seen: _known(seen.tested.seconds if seen.tested else None),
    ),
    Metric(
        "breaker_open",
        "Whether the builder is out of service for Nix, having failed again and again.",
        lambda seen: _known(seen.breaker is not None) if "breaker" not in {one.part for one in seen.errors} else [],
    ),
    Metric(
        "breaker_open_time_seconds",
        "Since when it is out of service.",
        lambda seen: _known(seen.breaker.since if seen.breaker else None),
    ),
    Metric(
        "collector_success",
        "Whether this part could be found out; where not, its metrics are missing.",
        _asked,
        ("collector",),
    ),
)


def text(seen: Overview) -> bytes:
    """Give all metrics in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - no other verb needs it
    from prometheus_client.registry import Collector  # noqa: PLC0415 - as above

    class _Builder(Collector):
        def collect(self) -> Iterator["Family"]:
            yield from (_family(metric, seen) for metric in METRICS)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Builder())
    return generate_latest(registry)


def _family(metric: Metric, seen: Overview) -> "Family":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - as above

    kind = CounterMetricFamily if metric.name.endswith("_total") else GaugeMetricFamily
    # Prometheus has a label «instance» of its own, and a host with one builder needs none.
    whose = {} if seen.instance == DEFAULT else {"builder": seen.instance}
    family = kind(metric.full_name, metric.help, labels=(*whose, *metric.labels))
    for labels, value in metric.samples(seen):
        family.add_metric((*whose.values(), *labels), value)
    return family
