"""The unit: one file, read by systemd, enabled."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.core import config, declaration
from darlingbuilder.core.config import Config
from darlingbuilder.core.errors import ForeignFileError, PrerequisiteError, SystemdError
from darlingbuilder.core.instance import Instance
from darlingbuilder.steps.commandlines import installed_state, located, program
from darlingbuilder.steps.units import Units
from tests.fakes.furnished import chosen
from tests.fakes.world import FakeWorld, fake_world
from tests.names import METRICS_SERVICE, METRICS_TIMER, METRICS_TIMER_FILE, UNIT, UNIT_FILE


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return fake_world(tmp_path)


@pytest.fixture
def units(world: FakeWorld) -> Units:
    return Units(chosen(), world)


def value(world: FakeWorld, key: str) -> str:
    lines = (world.host.read(UNIT_FILE) or b"").decode().splitlines()
    [found] = [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]
    return found


def hook(world: FakeWorld) -> str:
    """Give the command that converges before the service starts."""
    lines = (world.host.read(UNIT_FILE) or b"").decode().splitlines()
    [found] = [line for line in lines if line.startswith("ExecStartPre=+")]
    return found.removeprefix("ExecStartPre=+")


def details(units: Units) -> list[str]:
    return [drift.detail for drift in units.check()]


def test_it_is_written_read_and_enabled(units: Units, world: FakeWorld) -> None:
    units.apply()

    state = world.systemd.unit(UNIT)
    assert units.check() == []
    assert (state.load, state.file_state, state.needs_reload) == ("loaded", "enabled", False)


def test_it_runs_this_very_program_by_its_full_path(units: Units, world: FakeWorld) -> None:
    units.apply()

    assert Path(program()[0]).is_absolute()
    assert shlex.split(hook(world))[:-2] == [*program(), "init"]
    assert shlex.split(value(world, "ExecStart")) == [*program(), "serve"]


def test_before_all_else_another_start_of_what_fails_waits(world: FakeWorld) -> None:
    # given: not in init, which may fail by the very settings
    Units(chosen(instance="second", state="/srv/b"), world).apply()
    lines = (world.host.read(Instance("second").unit_file) or b"").decode().splitlines()
    # then: a wait that fails is in nobody's way
    wait, init = [line for line in lines if line.startswith("ExecStartPre=")]
    assert wait.startswith(
        "ExecStartPre=-+/bin/sh -c 'test ! -e /srv/b/failures.json || exec \"$$@\"' darlingbuilder "
    )
    assert wait.endswith(" breaker starts --instance=second --state=/srv/b")
    assert " init " in init


@pytest.mark.parametrize(
    "flags",
    [
        {"port": "2022", "supported_features": "big-parallel,kvm"},
        {"state": "/srv/builder", "key": "/etc/nix/other-key"},
        {"register": "false", "nix__version": "2.19.3", "min_free": "1G", "max_free": "2G"},
    ],
    ids=",".join,
)
def test_the_hook_converges_to_the_settings_of_the_call_that_wrote_it(
    world: FakeWorld, flags: dict[str, str]
) -> None:
    # given
    wanted = chosen(**flags)
    Units(wanted, world).apply()
    # when: what systemd would start is parsed as the command line does
    words = shlex.split(hook(world))[len(program()) :]
    parsed = vars(cli.parser().parse_args(words))
    said = {key: parsed[one.variable] for key, one in declaration.table().items() if one.variable in parsed}
    # then
    loaded = config.load(file=parsed["config"], environment={}, flags=said)
    assert loaded.settings == wanted.settings
    assert loaded.file == wanted.file


def test_what_systemd_would_expand_is_kept_from_it(world: FakeWorld, tmp_path: Path) -> None:
    file = tmp_path / "100% $HOME.toml"
    file.touch()

    Units(config.load(file=file, environment={}, flags={}), world).apply()

    assert hook(world).endswith("/100%% $$HOME.toml'")


def test_the_service_is_told_where_its_state_is(world: FakeWorld) -> None:
    Units(chosen(state="/srv/builder"), world).apply()

    assert shlex.split(value(world, "ExecStart"))[-1] == "--state=/srv/builder"
    assert installed_state(Instance(), world.host) == Path("/srv/builder")


def test_the_state_of_an_ordinary_builder_is_the_default_one(units: Units, world: FakeWorld) -> None:
    assert installed_state(Instance(), world.host) is None
    units.apply()
    assert installed_state(Instance(), world.host) == Path("/var/lib/darling-builder")


@pytest.mark.parametrize("content", [b"", b"# managed by darlingbuilder\n", b"[Service]\nExecStart=/bin/true\n"])
def test_a_unit_that_says_nothing_of_a_state_has_none(world: FakeWorld, content: bytes) -> None:
    world.host.write(UNIT_FILE, content)
    assert installed_state(Instance(), world.host) is None


@pytest.mark.parametrize(
    "flags", [{"compat": "always"}, {"compat_builds": "false"}, {"darling": "/opt/darling"}], ids=",".join
)
def test_what_serve_reads_at_its_start_makes_another_unit(world: FakeWorld, flags: dict[str, str]) -> None:
    # The same file says it all: flags would be repeated for the hook, and be in the unit by that alone.
    def said(flags: dict[str, str]) -> bytes:
        settings = chosen(**flags)
        origins = dict.fromkeys(settings.origins, "file")
        Units(replace(settings, origins=origins), world).apply()
        return world.host.read(UNIT_FILE) or b""

    assert said(flags) != said({})


def test_limits_and_times_are_those_of_the_settings(world: FakeWorld) -> None:
    Units(chosen(nofile="512", boot_timeout="10", grace="100"), world).apply()

    assert value(world, "LimitNOFILE").split(":")[0] == "512"
    assert int(value(world, "TimeoutStartSec")) > 2 * 2 * 10
    assert int(value(world, "TimeoutStopSec")) > 100


def test_what_the_builder_may_take_is_in_the_unit(world: FakeWorld) -> None:
    chosen_limits = {"limits__cpu_quota": "250%", "limits__memory_max": "8G", "limits__tasks_max": "900"}
    Units(chosen(**chosen_limits, limits__nice="10"), world).apply()

    keys = ("CPUQuota", "MemoryMax", "TasksMax", "OOMScoreAdjust", "IOWeight", "Nice")
    assert [value(world, key) for key in keys] == ["250%", "8G", "900", "500", "100", "10"]


def test_a_limit_that_is_not_set_is_left_to_systemd(world: FakeWorld) -> None:
    Units(chosen(), world).apply()

    text = (world.host.read(UNIT_FILE) or b"").decode()
    assert "CPUQuota=" not in text
    assert "TasksMax=" not in text


def edited(world: FakeWorld) -> None:
    world.host.write(UNIT_FILE, (world.host.read(UNIT_FILE) or b"") + b"# edited\n")


def masked(world: FakeWorld) -> None:
    world.host.remove(UNIT_FILE)
    world.host.write_link(UNIT_FILE, "/dev/null")


def unread(world: FakeWorld) -> None:
    content = world.host.read(UNIT_FILE) or b""
    world.host.write(UNIT_FILE, b"[Service]\n")
    world.systemd.reload()
    world.host.write(UNIT_FILE, content)


@pytest.mark.parametrize(
    ("harm", "detail"),
    [
        (edited, "differs"),
        (masked, "is masked"),
        (unread, "systemd has not read the unit file as it is now"),
        (lambda world: world.systemd.disable(UNIT), "is disabled"),
        (lambda world: world.host.remove(UNIT_FILE), "absent"),
    ],
    ids=["edited", "masked", "unread", "disabled", "gone"],
)
def test_harm_is_named_and_healed(units: Units, world: FakeWorld, harm: object, detail: str) -> None:
    units.apply()
    assert callable(harm)
    harm(world)

    assert details(units) == [detail]
    units.apply()
    assert units.check() == []


def test_a_foreign_unit_of_that_name_stays(units: Units, world: FakeWorld) -> None:
    world.host.write(UNIT_FILE, b"[Service]\nExecStart=/bin/true\n")

    with pytest.raises(ForeignFileError, match="was not written by darlingbuilder"):
        units.apply()
    units.revert()

    assert world.host.read(UNIT_FILE) == b"[Service]\nExecStart=/bin/true\n"


def test_without_a_bus_nobody_can_say_whether_it_is_enabled(units: Units, world: FakeWorld) -> None:
    units.apply()
    world.systemd.reachable = False
    with pytest.raises(SystemdError, match="does not answer"):
        units.check()


def test_revert_takes_the_unit_from_systemd_too(units: Units, world: FakeWorld) -> None:
    units.apply()
    world.systemd.start(UNIT)
    world.systemd.kill(UNIT)

    for _ in range(2):
        units.revert()

    assert world.systemd.unit(UNIT).load == "not-found"
    assert world.systemd.unit(UNIT).activity.value == "inactive"


def same_words(first: Config, second: Config, world: FakeWorld) -> bool:
    Units(first, world).apply()
    return Units(second, world).check() == []


def test_a_default_that_is_said_by_nobody_is_not_repeated(world: FakeWorld) -> None:
    assert not same_words(chosen(), chosen(port="2222"), world)
    assert "--port=2222" not in hook(world)


@pytest.fixture
def brought(world: FakeWorld) -> Units:
    """A unit that the system's own configuration brings, as NixOS does: a link into a store."""
    store = Path("/nix/store/x-system-units") / UNIT
    world.host.write(store, b"[Service]\nExecStart=/nix/store/x/bin/darlingbuilder serve --state=/srv/builder\n")
    world.host.make_directory(UNIT_FILE.parent)
    world.host.write_link(UNIT_FILE, str(world.host.real(store)))
    return Units(chosen(install_unit="false"), world)


def test_a_unit_that_the_system_brings_is_taken_as_it_is(brought: Units, world: FakeWorld) -> None:
    link = world.host.link(UNIT_FILE)

    assert brought.check() == []
    brought.apply()
    brought.revert()

    assert world.host.link(UNIT_FILE) == link
    assert brought.check() == []
    assert installed_state(Instance(), world.host) == Path("/srv/builder")


def test_a_unit_that_the_system_should_bring_and_does_not_is_asked_for(world: FakeWorld) -> None:
    units = Units(chosen(install_unit="false"), world)

    assert details(units) == ["is not-found, and install_unit is false"]
    with pytest.raises(PrerequisiteError) as raised:
        units.apply()
    units.revert()

    assert "darlingbuilder config unit" in raised.value.hint


def test_the_metrics_units_are_the_system_s_to_bring_as_well(world: FakeWorld) -> None:
    Units(chosen(metrics_textfile="/srv/a.prom"), world).apply()
    world.systemd.packaged.add(UNIT)
    relying = Units(chosen(install_unit="false", metrics_textfile="/srv/a.prom"), world)

    with pytest.raises(PrerequisiteError, match=r"darling-builder-metrics\.service is not-found"):
        relying.apply()
    assert world.host.read(METRICS_TIMER_FILE) is None

    world.systemd.packaged |= {METRICS_SERVICE, METRICS_TIMER}
    relying.apply()
    assert relying.check() == []


def test_a_unit_of_ours_makes_way_for_the_one_that_the_system_brings(units: Units, world: FakeWorld) -> None:
    units.apply()
    world.systemd.packaged.add(UNIT)
    relying = Units(chosen(install_unit="false"), world)

    assert details(relying) == ["is not wanted: install_unit is false"]
    relying.apply()

    assert relying.check() == []
    assert world.host.read(UNIT_FILE) is None


def test_a_unit_of_ours_goes_at_the_end_even_if_it_is_no_longer_wanted(units: Units, world: FakeWorld) -> None:
    units.apply()

    Units(chosen(install_unit="false"), world).revert()

    assert world.host.read(UNIT_FILE) is None


def test_a_mask_is_the_system_s_own_if_the_unit_is(brought: Units, world: FakeWorld) -> None:
    world.host.remove(UNIT_FILE)
    world.host.write_link(UNIT_FILE, "/dev/null")

    assert details(brought) == ["is masked"]
    with pytest.raises(PrerequisiteError):
        brought.apply()

    assert world.host.link(UNIT_FILE) == "/dev/null"


def test_the_program_is_the_script_beside_python_or_the_one_that_was_called(tmp_path: Path) -> None:
    for directory in ("python", "package"):
        script = tmp_path / directory / "darlingbuilder"
        script.parent.mkdir()
        script.touch(mode=0o755)
    beside, called = tmp_path / "python/darlingbuilder", tmp_path / "package/darlingbuilder"
    link = tmp_path / "darlingbuilder"
    link.symlink_to(called)

    assert located(beside, called) == [str(beside)]
    beside.unlink()
    assert located(beside, link) == [str(called)]
    for other in (Path("darlingbuilder"), Path("/usr/bin/pytest"), tmp_path / "gone/darlingbuilder"):
        assert located(beside, other)[1:] == ["-m", "darlingbuilder"]


def test_a_start_and_an_end_tell_the_breaker_where_there_is_something_to_tell(units: Units, world: FakeWorld) -> None:
    units.apply()
    text = (world.host.read(UNIT_FILE) or b"").decode()
    assert "ExecStartPost=-+/bin/sh -c 'test ! -e /var/lib/darling-builder/failures.json || exec" in text
    assert 'ExecStopPost=-+/bin/sh -c \'test "$$SERVICE_RESULT" = success || exec "$$@"\' darlingbuilder ' in text
    assert text.count(" breaker serves\n") == text.count(" breaker ended\n") == 1
