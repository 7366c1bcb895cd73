"""Whether the contracts may try the real adapters, which change the machine that they are on."""

import os

# Said by integration/suite/test_contracts.py, on a machine that is thrown away afterwards.
MAY_BE_CHANGED = os.environ.get("THIS_MACHINE_MAY_BE_CHANGED") == "yes"
