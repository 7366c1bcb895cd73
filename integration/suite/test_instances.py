"""Several builders on one host: both build at once, neither disturbs the other, and each goes by itself."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from integration.machine.tree import Tree, differences, touched
from integration.suite.equipment import Equipment
from integration.suite.site import Site
from integration.suite.test_lifecycle import ours

pytestmark = pytest.mark.parametrize("machine", ["trixie", "sid"], indirect=True, scope="module")

NAME = "second"
# Each says where it was built, and lasts until the others have begun.
SEVERAL = """
  let one = number: derivation { name = "several-%s-${toString number}"; system = "x86_64-darwin"; builder = "/bin/sh";
    args = [ "-c" "/bin/sleep 3; echo $NIX_BUILD_TOP > $out; /usr/bin/id -un >> $out" ]; };
  in map one [ 1 2 3 4 ]
"""
