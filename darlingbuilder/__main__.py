"""``python -m darlingbuilder``."""

import sys

from darlingbuilder.cli import main

sys.exit(main())
