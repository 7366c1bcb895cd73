"""A file system of another kind, in an image of its own, for as long as somebody has it mounted."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .commands import run
from .disk import SCRATCH

# Room enough for «doctor»; the image is sparse.
_SIZE = 4 << 30


@contextmanager
def mounted(kind: str) -> Iterator[Path]:
    """Give an empty file system of ``kind``.

    What a machine has bound from it by the end lives on in its own namespace, and the image as long as that.
    """
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix=f"darlingbuilder-{kind}-") as directory:
        image, point = Path(directory) / "image", Path(directory) / "mounted"
        with image.open("wb") as file:
            os.truncate(file.fileno(), _SIZE)
        run((f"mkfs.{kind}", "-q", str(image)), timeout=60)
        point.mkdir()
        # mount(8) makes the loop device and has the kernel free it with the last mount.
        run(("mount", "-o", "loop", str(image), str(point)), timeout=60)
        try:
            yield point
        finally:
            run(("umount", str(point)), timeout=60)
