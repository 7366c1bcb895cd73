"""What a store's database says of the sizes of its paths, read without opening it where it lies.

The guest's user can prepare the file, put a link in its place, or change it meanwhile: it is read whole, as bytes,
and looked at in memory, with an end to how long that may take. What stands in its log alone is not seen.
"""

from collections.abc import Iterator
from contextlib import closing

# A million paths are not counted in more.
_SQLITE_STEPS = 20_000_000
_STEPS_BETWEEN = 1_000_000
# Of the header: the versions that say «with a write-ahead log», which a database in memory cannot have.
_VERSIONS = slice(18, 20)
_WITHOUT_LOG = b"\x01\x01"


def nar_sizes(database: bytes) -> Iterator[tuple[str, int]]:
    """Give each valid path with its size in bytes as an archive; nothing more where ``database`` is damaged."""
    import sqlite3  # noqa: PLC0415 - few calls need it

    content = bytearray(database)
    content[_VERSIONS] = _WITHOUT_LOG
    looks = iter(range(_SQLITE_STEPS // _STEPS_BETWEEN))
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.deserialize(bytes(content))
            connection.execute("pragma trusted_schema = off")
            connection.set_progress_handler(lambda: next(looks, None) is None, _STEPS_BETWEEN)
            for path, size in connection.execute("select path, narSize from ValidPaths"):
                if isinstance(path, str) and isinstance(size, int) and size > 0:
                    yield path, size
        except sqlite3.Error:
            return
