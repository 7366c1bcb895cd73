"""Derivations of both systems that need each other, by luck, and what their outputs must hold, to the letter."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

LINUX, DARWIN = "x86_64-linux", "x86_64-darwin"
# Several, so that half of an output can be told from a whole one.
FILES = tuple("abcdefgh")
_MOST_INPUTS = 3
# A builder's own words alone, for a derivation has no PATH: it reads every file of each input and writes its own.
# The shell ends last: Nix kills a builder that has closed its output, as coreutils do before they exit.
_SCRIPT = """
  set -e
  /bin/sleep {pause}
  /bin/mkdir $out
  for input in $inputs; do for f in {files}; do
    read -r line < $input/$f; echo $line $input >> $out/told
  done; done
  for f in {files}; do echo $name $f > $out/$f; done
  /bin/ln -s a $out/link
  exit 0
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """``inputs``: the numbers of others; ``salt`` makes it another one, ``pause`` slower by seconds."""

    number: int
    system: str
    inputs: tuple[int, ...]
    salt: str = ""
    pause: int = 0

    @property
    def name(self) -> str:
        """What its output is called."""
        return f"n{self.number}{self.salt}"

    @property
    def expression(self) -> str:
        """Give it to Nix, its inputs by their names."""
        script = _SCRIPT.format(pause=self.pause, files=" ".join(FILES)).replace("$", "\\$")
        inputs = " ".join(f"n{number}" for number in self.inputs)
        return (
            f'derivation {{ name = "{self.name}"; system = "{self.system}"; builder = "/bin/sh"; '
            f'preferLocalBuild = false; inputs = [ {inputs} ]; args = [ "-c" "{script}" ]; }}'
        )


@dataclass(frozen=True, slots=True)
class Cookbook:
    """Recipes by their numbers, none before what it needs."""

    recipes: tuple[Recipe, ...]

    def expression(self, top: Recipe) -> str:
        """Write all that ``top`` needs, and that."""
        let = " ".join(f"n{number} = {self.recipes[number].expression};" for number in self.needed(top))
        return f"let {let} in {top.expression}"

    def paths_expression(self) -> str:
        """Ask for all paths."""
        let = " ".join(f"n{one.number} = {one.expression};" for one in self.recipes)
        return f"let {let} in map (one: one.outPath) [ {' '.join(f'n{one.number}' for one in self.recipes)} ]"

    def needed(self, top: Recipe) -> list[int]:
        """List the numbers of all that ``top`` needs, itself left out."""
        found: set[int] = set()
        todo = set(top.inputs)
        while todo:
            found |= todo
            todo = {number for one in todo for number in self.recipes[one].inputs} - found
        return sorted(found)

    def of(self, system: str) -> list[Recipe]:
        """List those for ``system``."""
        return [one for one in self.recipes if one.system == system]


def cookbook(luck: random.Random, count: int) -> Cookbook:
    """Think of so many: the first ones of the host's and without inputs, then of either system."""
    recipes: list[Recipe] = []
    for number in range(count):
        system = LINUX if number < count // 4 else luck.choice((LINUX, DARWIN))
        most = min(number, _MOST_INPUTS) if number >= count // 4 else 0
        inputs = luck.sample(range(number), luck.randint(min(1, most), most))
        recipes.append(Recipe(number, system, tuple(sorted(inputs))))
    return Cookbook(tuple(recipes))


def salted(recipe: Recipe, salt: int, *, pause: int = 0) -> Recipe:
    """Make another of the same inputs, which nobody has built."""
    return replace(recipe, salt=f"-{salt}", pause=pause)


def told(recipe: Recipe, paths: Mapping[int, str]) -> dict[str, str]:
    """Say what each file of the output must hold, inputs lying at ``paths``."""
    files = {name: f"{recipe.name} {name}\n" for name in FILES}
    return files | _told_of_inputs(recipe.inputs, paths)


def _told_of_inputs(inputs: Sequence[int], paths: Mapping[int, str]) -> dict[str, str]:
    lines = [f"n{number} {name} {paths[number]}\n" for number in inputs for name in FILES]
    return {"told": "".join(lines)} if lines else {}
