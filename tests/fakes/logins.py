"""An ssh on a PATH of its own, with a login behind each name: the «machines» are directories with programs."""

from pathlib import Path

from tests.fakes.programs import OWN_PATH, write

# As the real one: the local command runs once the login has succeeded, and what fails before that gives 255.
_SSH = """
log={log}
printf '%s\\nagent: %s\\n' "$*" "${{SSH_AUTH_SOCK:-none}}" >> "$log"
local=
while [ "$1" != "--" ]; do
  case "$1" in
    -oLocalCommand=*) local=${{1#*=}};;
    -oUserKnownHostsFile=*) cat "${{1#*=}}" >> "$log";;
  esac
  host=$1
  shift
done
shift
place={places}/${{host#*@}}
[ -d "$place" ] || {{ echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255; }}
[ -e "$place/mute" ] && exec sleep 60
eval "$local"
[ -e "$place/forced" ] && {{ cat "$place/forced"; exit 0; }}
PATH=$place:{own} exec /bin/sh -c "$*"
"""


def install(directory: Path) -> str:
    """Put ssh below ``directory``, and give the PATH on which it is found first."""
    write(directory / "bin" / "ssh", _SSH.format(log=log_of(directory), places=directory / "places", own=OWN_PATH))
    return f"{directory / 'bin'}:{OWN_PATH}"


def add(directory: Path, host: str, **files: str) -> Path:
    """Add a machine that takes the login; ``files`` lie in its directory, ``forced`` and ``mute`` are heeded."""
    place = directory / "places" / host
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def log_of(directory: Path) -> Path:
    """Name the file of what ssh was called with, and of the host keys that it was to insist on."""
    return directory / "ssh.log"
