"""What refers to what in a store's database, in the orders that Nix asks for."""

import graphlib
from collections.abc import Iterable, Sequence

from darlingbuilder.adapters.storedb import StoreDatabase, ValidPath


def referrers_first(database: StoreDatabase, numbers: Iterable[int]) -> list[str]:
    """Give the paths of the rows with ``numbers`` and of all that refers to them, each before what it refers to."""
    found: dict[int, tuple[int, ...]] = {}
    todo = set(numbers)
    while todo:
        referrers = database.referrers(todo)
        found |= {number: referrers.get(number, ()) for number in todo}
        todo = {referrer for number in todo for referrer in found[number]} - found.keys()
    # What somebody has prepared may refer from rows that there are not.
    paths = {one.number: one.path for one in database.described(found)}
    return [paths[number] for number in graphlib.TopologicalSorter(found).static_order() if number in paths]


def below(database: StoreDatabase, numbers: Iterable[int]) -> set[int]:
    """Give the rows with ``numbers`` and all that they refer to."""
    found: set[int] = set()
    todo = set(numbers)
    while todo:
        found |= todo
        named = {path for paths in database.references(todo).values() for path in paths}
        todo = set(database.valid(named).values()) - found
    return found


def references_first(wanted: Iterable[ValidPath]) -> list[ValidPath]:
    """Order paths so that each comes after those among them that it refers to."""
    known = {one.path: one for one in wanted}
    edges = {
        path: [other for other in one.references if other in known and other != path] for path, one in known.items()
    }
    return [known[path] for path in graphlib.TopologicalSorter(edges).static_order()]


def batches(ordered: Sequence[ValidPath], size: int) -> Iterable[Sequence[ValidPath]]:
    """Cut ``ordered`` into pieces of at most ``size``."""
    return (ordered[start : start + size] for start in range(0, len(ordered), size))
