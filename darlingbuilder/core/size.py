"""How a number of bytes reads."""

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024


def told(count: int) -> str:
    """Give ``count`` bytes as a person reads them: «512 B», «1.5 GiB»."""
    if count < _STEP:
        return f"{count} B"
    amount, unit = count / _STEP, 0
    # Rounded, as it will be printed: 1023.96 MiB are 1.0 GiB.
    while round(amount, 1) >= _STEP and unit + 1 < len(_UNITS):
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}"
