import pytest

from integration.machine import SUITES, Machine, Suite, debian_root
from integration.machine.wheel import wheel_layer


@pytest.mark.parametrize("suite", SUITES)
def test_the_tool_runs_as_installed_and_leaves_no_trace_by_that(suite: Suite) -> None:
    root = debian_root(suite)
    with Machine.create(root, layers=[wheel_layer(root)]) as machine:
        machine.boot()
        before = machine.tree()
        assert machine.run("darlingbuilder", "--version").stdout.startswith("darlingbuilder ")
        assert machine.tree() == before


def test_the_layer_is_made_once() -> None:
    root = debian_root("trixie")
    assert wheel_layer(root) == wheel_layer(root)
