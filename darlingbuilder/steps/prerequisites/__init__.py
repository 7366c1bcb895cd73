"""What the machine must bring along, looked at without changing anything; the table is in ``steps.preflight``."""
