"""The examples in Nix's language are in Nix's language, as two of its versions read it."""

import pytest

from docs.examples import Block, blocks
from integration.machine.machine import Machine

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True)


@pytest.mark.parametrize("block", blocks("nix"), ids=str)
def test_an_example_parses(machine: Machine, block: Block) -> None:
    parsed = machine.run("nix-instantiate", "--parse", "-", stdin=block.text)

    assert parsed.stdout.startswith(("{", "("))
