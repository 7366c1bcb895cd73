"""Every kind of bad settings gives one clear error with a remedy and exit code 4."""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from darlingbuilder.core import config
from darlingbuilder.core.errors import ConfigError, ExitCode
from tests.privileges import bound_by_permissions

HASH = "0" * 64
PACKAGE = "/nix/store/b9dvary8rcljj7ajv1x64hwwch4cvyvp-nix-2.31.2"


@dataclass(frozen=True)
class Bad:
    """Wrong settings, and words that the message must hold."""

    says: str
    toml: str | bytes = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)


def _prefix(path: str, says: str) -> Bad:
    return Bad(says, flags={"prefix": path})


BAD = {
    # The file as a whole.
    "not TOML": Bad("not TOML", "port 2222"),
    "a key twice": Bad("not TOML", "port = 2222\nport = 2223"),
    "a table twice": Bad("not TOML", "[nix]\n[nix]"),
    "an invalid date": Bad("not TOML", "port = 2024-13-45"),
    "not UTF-8": Bad("not UTF-8", b"user = '\xff\xfe'"),
    "NUL": Bad("not TOML", b"user = 'a\0b'"),
    "nested too deeply": Bad("nested too deeply", f"port = {'[' * 5000}{']' * 5000}"),
    "a number without end": Bad("not TOML", f"port = {'9' * 5000}"),
    "a file without end": Bad("longer than", "#" * 2**20 + "\n\n"),
    # Keys.
    "an unknown key": Bad("unknown setting 'colour'", "colour = 1"),
    "an unknown key of a table": Bad("unknown setting 'nix.colour'", "[nix]\ncolour = 1"),
    "an unknown table": Bad("unknown setting 'ssh'", "[ssh]\nport = 1"),
    "an unknown key with control characters": Bad(r"'\x1b[31m'", '"\\u001b[31m" = 1'),
    "an endless key": Bad("unknown setting", f"{'k' * 50_000} = 1"),
    "an empty key": Bad("unknown setting ''", '"" = 1'),
    "a value in place of a table": Bad("nix is a table", "nix = 'x'"),
    "a table in place of a value": Bad("port = a table", "[port]\na = 1"),
    "a deep table in place of a value": Bad("port = a table", f"port{'.a' * 3000} = 1"),
    # Values.
    "text for a number": Bad("port = '2222'", "port = '2222'"),
    "a float": Bad("got `float`", "port = 2222.0"),
    "not a number": Bad("got `float`", "port = nan"),
    "infinity": Bad("got `float`", "cores = inf"),
    "a moment": Bad("got `datetime`", "user = 2024-01-01T00:00:00Z"),
    "a time": Bad("got `time`", "user = 10:00:00"),
    "a number for a switch": Bad("register = 1", "register = 1"),
    "a switch for a number": Bad("got `bool`", "port = true"),
    "a number for text": Bad("key = 1", "key = 1"),
    "text for a list": Bad("supported_features = 'kvm'", "supported_features = 'kvm'"),
    "a number in a list": Bad("supported_features = a list", "supported_features = ['kvm', 1]"),
    "a huge number": Bad("a huge number", f"port = 0x{'f' * 9000}"),
    "a port that is root's": Bad("port = 22", "port = 22"),
    "a port that is none": Bad("port = 65536", "port = 65536"),
    "a negative number": Bad("cores = -1", "cores = -1"),
    "no jobs": Bad("max_jobs = 0", "max_jobs = 0"),
    "a word for jobs": Bad("max_jobs = 'many'", "max_jobs = 'many'"),
    "an unknown protocol": Bad("protocol = 'telnet'", "protocol = 'telnet'"),
    "a feature with a space": Bad("supported_features", "supported_features = ['big parallel']"),
    "a feature with a newline": Bad("supported_features", 'supported_features = ["kvm\\n"]'),
    "a size without a number": Bad("min_free = 'much'", "min_free = 'much'"),
    "a size with a newline": Bad("min_free", 'min_free = "1G\\n"'),
    "an endless size": Bad("min_free", f"min_free = '{'9' * 5000}'"),
    # The environment and flags.
    "an unknown variable": Bad("'DARLINGBUILDER_COLOUR'", environment={"DARLINGBUILDER_COLOUR": "red"}),
    "an empty number": Bad("port = ''", environment={"DARLINGBUILDER_PORT": ""}),
    "a word for a number": Bad("port = 'http'", flags={"port": "http"}),
    "an endless number in text": Bad("port = '999", flags={"port": "9" * 5000}),
    "a word for a switch": Bad("register = 'maybe'", environment={"DARLINGBUILDER_REGISTER": "maybe"}),
    "bytes that are no UTF-8": Bad("key = ", environment={"DARLINGBUILDER_KEY": "/etc/\udcff"}),
    "a flag that is none": Bad("unknown setting 'colour'", flags={"colour": "red"}),
    # Paths.
    "a relative key": Bad("key = 'key'", "key = 'key'"),
    "a relative prefix": _prefix("prefix", "prefix = 'prefix'"),
    "a relative launcher": Bad("darling = ", "darling = 'bin/darling'"),
    "a prefix that is too long": _prefix("/srv/" + "p" * 74, "has 79 bytes"),
    "a state whose prefix is too long": Bad("Darling's sockets allow 78", f"state = '/srv/{'s' * 61}'"),
    "a prefix with a comma": _prefix("/srv/a,b/prefix", "contains ,"),
    "a prefix with a colon": _prefix("/srv/a:b/prefix", "contains :"),
    "a prefix with a backslash": _prefix("/srv/a\\b/prefix", "contains \\"),
    "a prefix with dots": _prefix("/srv/../etc/prefix", "not a plain path"),
    "a prefix with a slash at the end": _prefix("/srv/d/prefix/", "not a plain path"),
    "a prefix with two slashes": _prefix("/srv//d/prefix", "not a plain path"),
    "a prefix with a newline": _prefix("/srv/d/prefix\n", "prefix = "),
    "a key with a space": Bad("contains ' '", "key = '/etc/nix/my key'"),
    "a state with a percent sign": Bad("contains '%'", "state = '/srv/%h'"),
    "a state with another alphabet": Bad("contains 'ü'", "state = '/srv/Lübeck'"),
    # What would put the machine at risk.
    "the root as state": Bad("state: / is not the builder's", "state = '/'\nprefix = '/srv/d/prefix'"),
    "the root as prefix": _prefix("/", "prefix: / is not the builder's"),
    "everybody's home as prefix": _prefix("/home", "prefix: /home is not the builder's"),
    "somebody's home as state": Bad("/home/alice is not", "state = '/home/alice'\nprefix = '/srv/d/prefix'"),
    "a system directory as state": Bad("/var/lib is not", "state = '/var/lib'"),
    "a state in the host's store": Bad("/nix/builder is not", "state = '/nix/builder'"),
    "a prefix whose parent others share": _prefix("/var/lib/prefix", "its parent: /var/lib is not"),
    "a prefix that is the state": _prefix("/var/lib/darling-builder", "holds the state directory"),
    "a prefix that holds the state": Bad(
        "holds the state directory", "state = '/srv/d/prefix/state'\nprefix = '/srv/d/prefix'"
    ),
    "a prefix beside root's files": _prefix("/var/lib/darling-builder/prefix", "has to belong to the guest's user"),
    "a prefix in the guest's Nix": _prefix("/var/lib/darling-builder/nix/prefix", "keeps its nix"),
    "a key in the prefix": Bad(
        "which belongs to the guest's user", "key = '/var/lib/darling-builder/guest/prefix/key'"
    ),
    "a key beside the prefix": Bad("which belongs to the guest's user", "key = '/var/lib/darling-builder/guest/key'"),
    "a key in a home itself": Bad("/root itself", "key = '/root/key'"),
    "a key in somebody's home itself": Bad("/home/me itself", "key = '/home/me/key'"),
    "a key among temporary files": Bad("among temporary files", "key = '/tmp/keys/key'"),
    "a key in place of the marker": Bad("name of something else", "key = '/var/lib/darling-builder/builder.json'"),
    "root as user": Bad("owns the host", "user = 'root'"),
    "nobody as user": Bad("runs as nobody", "user = 'nobody'"),
    "a build user as user": Bad("kills every process", "user = 'nixbld1'"),
    "a user with capitals": Bad("user = 'Builder'", "user = 'Builder'"),
    "a user with a newline": Bad("user = ", 'user = "builder\\n"'),
    # Nix.
    "one port for two": Bad("private_port and port are both 2222", "on_demand = true\nprivate_port = 2222"),
    "two sources of Nix": Bad("are both set", f"[nix]\nversion = '2.31.2'\npackage = '{PACKAGE}'"),
    "a tarball without hash": Bad("without nix.sha256", "[nix]\ntarball = '/tmp/nix.tar.xz'"),
    "a hash without tarball": Bad("without nix.tarball", f"[nix]\nsha256 = '{HASH}'"),
    "a hash that is too short": Bad("nix.sha256 = ", "[nix]\ntarball = '/tmp/nix.tar.xz'\nsha256 = 'abc'"),
    "a path outside the store": Bad("nix.package = ", "[nix]\npackage = '/usr/bin/nix'"),
    "a store path with letters that Nix does not use": Bad(
        "nix.package = ", f"[nix]\npackage = '/nix/store/{'e' * 32}-nix-2.31.2'"
    ),
    "a path below a store path": Bad("nix.package = ", f"[nix]\npackage = '{PACKAGE}/bin/nix'"),
    "a version that is none": Bad("nix.version = 'latest'", "[nix]\nversion = 'latest'"),
    "less room at the end than at the start": Bad("max_free (1G) is less", "min_free = '10G'\nmax_free = '1G'"),
    "a store without room for Nix": Bad("no room for Nix", "store_size = '100M'"),
    "more free than there can be": Bad(
        "more than store_size (1G) can have free", "store_size = '1G'\nmax_free = '1G'"
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_settings_give_one_error_with_a_remedy(tmp_path: Path, bad: Bad) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(bad.toml if isinstance(bad.toml, bytes) else bad.toml.encode())

    with pytest.raises(ConfigError) as caught:
        config.load(file=file, environment=bad.environment, flags=bad.flags)

    assert bad.says in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == ExitCode.CONFIG
    assert len(str(caught.value)) < 1000


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


NO_FILES: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda _path: None, "no such file"),
    "a directory": (Path.mkdir, "Is a directory"),
    "a pipe": (os.mkfifo, "a named pipe"),
    "a socket": (_socket, "No such device"),
    "a link to itself": (lambda path: path.symlink_to(path), "Too many levels"),
    "below a file": (lambda path: path.write_text(""), "Not a directory"),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_gives_one_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    make, says = NO_FILES[kind]
    path = Path("made")
    make(path)

    with pytest.raises(ConfigError, match=says) as caught:
        config.load(file=path / "config.toml" if kind == "below a file" else path, environment={}, flags={})

    assert caught.value.hint


def test_a_file_that_may_not_be_read_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("port = 2222\n")
    file.chmod(0)

    with bound_by_permissions(), pytest.raises(ConfigError, match="Permission denied") as caught:
        config.load(file=file, environment={}, flags={})

    assert caught.value.hint


def test_a_file_name_with_nul_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ConfigError, match="null byte") as caught:
        config.load(file=Path("a\0b"), environment={}, flags={})

    assert caught.value.hint


def test_a_file_that_never_ends_is_given_up() -> None:
    with pytest.raises(ConfigError, match="longer than"):
        config.load(file=Path("/dev/zero"), environment={}, flags={})


@pytest.mark.parametrize(
    "flags",
    [
        {"prefix": "/srv/darling/prefix"},
        {"state": "/srv/darling"},
        {"state": "/darling"},
        {"state": "/home/alice/darling"},
        {"prefix": "/var/lib/darling-builder/other/prefix"},
        {"key": "/var/lib/darling-builder/key"},
        {"key": "/root/keys/key"},
        {"key": "/home/me/keys/key"},
        {"min_free": "1G", "max_free": "10G"},
        {"min_free": "1G", "max_free": "2G", "store_size": "10G"},
        {"nix.tarball": "/srv/nix 2.tar.xz", "nix.sha256": HASH},
        {"prefix": "/srv/" + "p" * 20 + "/" + "q" * 52},
    ],
    ids=str,
)
def test_settings_that_are_unusual_but_right_are_taken(flags: Mapping[str, str]) -> None:
    loaded = config.load(file=None, environment={}, flags=flags)

    assert {key: config.flatten(loaded.settings)[key] for key in flags} == dict(flags)
