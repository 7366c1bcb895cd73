"""The settings file as a tree of TOML values, whatever may be wrong with it said in one error."""

import stat
import tomllib
from pathlib import Path

from darlingbuilder.core.errors import ConfigError

# A file that is larger is not one of settings; /dev/zero would never end.
_LONGEST = 2**20


def read(file: Path, *, needed: bool) -> dict[str, object]:
    """Read ``file``; one that is missing and not ``needed`` is empty. Raises ConfigError."""
    try:
        content = _content(file)
    except FileNotFoundError:
        if not needed:
            return {}
        raise ConfigError(f"{file}: no such file", hint="check --config and DARLINGBUILDER_CONFIG") from None
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror or error}", hint="make it a file that this user may read"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{str(file)!r}: {error}", hint="check --config and DARLINGBUILDER_CONFIG") from error
    return _parsed(file, _decoded(file, content))


def _content(file: Path) -> bytes:
    if stat.S_ISFIFO(file.stat().st_mode):
        raise ConfigError(f"{file}: a named pipe, not a file", hint="write the settings to a file")
    with file.open("rb") as opened:
        content = opened.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ConfigError(f"{file}: longer than {_LONGEST} bytes", hint="is this the file of the settings?")
    return content


def _decoded(file: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8: {error}", hint="save it as UTF-8") from error


def _parsed(file: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply", hint="settings have at most one table") from None
    except ValueError as error:
        # Besides TOMLDecodeError: Python refuses to read a number of more than 4300 digits.
        raise ConfigError(f"{file}: not TOML: {error}", hint="see https://toml.io for the syntax") from error
