"""Whatever a settings file holds, it is taken or refused with one error; nothing else ever comes out."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from darlingbuilder.core import config, declaration
from darlingbuilder.core.errors import ConfigError

WORDS = [
    *("auto", "ssh-ng", "ssh", "10G", "0", "root", "darlingbuilder", "/", "/nix", "2.31.2", "0" * 64, "kvm"),
    *("/srv/d/prefix", "/var/lib/darling-builder", "/home", "/a,b", "/a/../b", "/nix/store/x", "/etc/nix/key"),
]
# Each is a value of TOML, and of some type that a setting may or may not have.
ODD = [
    *("1.5", "nan", "-inf", "1e400", "true", "false", "0o17", "1_0", f"0x{'f' * 9000}", "'''x'''", "[]", "[[[]]]"),
    *("2024-01-01", "2024-01-01T00:00:00Z", "10:00:00", "{}", "{a = 1}", "{a = {b = []}}"),
]
BROKEN = ["", "=", "'\n'", "9" * 5000, "2024-13-01", "[1", "{a = 1, a = 2}", '"\\ud800"']

any_text = st.text(max_size=20)
texts = st.one_of(st.sampled_from(WORDS), any_text).map(json.dumps)
numbers = st.one_of(st.sampled_from([0, 1, 2222, 2**63, 2**64, 10**40]), st.integers(-10, 70_000), st.integers())
scalars = st.one_of(texts, numbers.map(str), st.sampled_from(ODD))
lists = st.lists(scalars, max_size=3).map(lambda values: f"[{', '.join(values)}]")
values = st.one_of(scalars, lists)

known = st.sampled_from(sorted(declaration.table()))
known_pairs = st.dictionaries(known, values, max_size=3).map(
    lambda pairs: "".join(f"{key} = {value}\n" for key, value in pairs.items())
)
right = st.fixed_dictionaries({}, optional={"port": st.integers(1024, 65535), "cores": st.integers(0, 1024)}).map(
    lambda pairs: "".join(f"{key} = {value}\n" for key, value in pairs.items())
)
other_keys = st.one_of(known, any_text.map(json.dumps), st.sampled_from(["nix", "nix.a.b", "a" * 999, "-"]))
odd_lines = st.one_of(
    st.tuples(other_keys, st.one_of(values, st.sampled_from(BROKEN))).map(" = ".join),
    other_keys.map(lambda key: f"[{key}]"),
    other_keys.map(lambda key: f"[[{key}]]"),
    any_text,
)
documents = st.one_of(
    known_pairs,
    right,
    st.tuples(right, known_pairs).map("".join),
    st.tuples(known_pairs, st.lists(odd_lines, max_size=3).map("\n".join)).map("".join),
    st.text(),
)
files = st.one_of(documents.map(lambda text: text.encode(errors="surrogatepass")), st.binary())


def refusal(*, file: Path | None = None, flags: Mapping[str, str] | None = None) -> ConfigError | None:
    """Load the settings; give the error that this may raise. Any other flies."""
    try:
        loaded = config.load(file=file, environment={}, flags=flags or {})
    except ConfigError as error:
        return error
    assert config.inflate(config.flatten(loaded.settings)) == loaded.settings
    return None


@settings(max_examples=2000, deadline=None)
@given(files)
def test_any_settings_file_is_taken_or_refused_with_a_remedy(content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        error = refusal(file=Path(file.name))

    event("refused" if error else "taken")
    assert error is None or (str(error) and error.hint)


@settings(max_examples=500, deadline=None)
@given(known, st.one_of(st.sampled_from(WORDS), st.text()))
def test_any_text_of_a_flag_is_taken_or_refused_with_a_remedy(key: str, text: str) -> None:
    error = refusal(flags={key: text})

    assert error is None or (str(error) and error.hint)
