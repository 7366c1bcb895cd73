"""The documents are true: all that the program has stands in them, and what stands in them is so."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from darlingbuilder import cli
from darlingbuilder.adapters import process
from darlingbuilder.core import compatibility, config, declaration, paths
from darlingbuilder.core.errors import ExitCode
from darlingbuilder.core.instance import Instance
from darlingbuilder.core.paths import Paths
from darlingbuilder.core.settings import Settings
from darlingbuilder.verbs import VERBS
from docs import write
from docs.examples import DOCUMENTS, ROOT, Block, blocks, command_lines
from docs.raised import GAP, raised, words

DOCS = ROOT / "docs"
BY_HAND = [document for document in DOCUMENTS if document.name not in write.PAGES]
COMMANDS = (DOCS / "commands.md").read_text()
FILES = (DOCS / "files.md").read_text()
TROUBLES = (DOCS / "troubleshooting.md").read_text()
COMMAND_LINES = sorted({(document.name, line) for document, line in command_lines()})
LINK = re.compile(r"\]\(([^)\s]+)\)")


def rows(verb: str) -> str:
    """Give the rows of the table of commands that are about ``verb``."""
    return "\n".join(line for line in COMMANDS.splitlines() if re.match(rf"\|[^|]*`{verb}[` ]", line))


def anchors(document: Path) -> set[str]:
    """Give what a link to a place within ``document`` may name, as forges make it of the headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def own_paths() -> Iterator[Path]:
    """Give every path that core/paths.py has, where the settings leave it where it is."""
    yield from (value for value in vars(paths).values() if isinstance(value, Path))
    for whose in (Paths(Settings()), Instance(), Instance("NAME")):
        for name, member in vars(type(whose)).items():
            if isinstance(member, property) and isinstance(path := getattr(whose, name), Path):
                yield path
    yield from (Path(path) for path in map(str, Instance("NAME").defaults.values()) if path.startswith("/"))


def test_every_verb_is_in_the_table_of_commands_with_every_argument() -> None:
    missing = []
    for verb in VERBS:
        missing += [] if rows(verb.name) else [verb.name]
        for argument in verb.arguments:
            words_for_it = [argument.name] if argument.name.startswith("-") else argument.options.get("choices", [])
            # The word itself: --max-age says nothing of --max.
            missing += [
                f"{verb.name} {word}"
                for word in words_for_it
                if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", rows(verb.name))
            ]

    assert missing == [], "say a word on it in docs/commands.md"


def test_every_exit_code_is_in_the_table_of_commands() -> None:
    told = re.findall(r"^\| (\d+) \| (.*) \|$", COMMANDS, re.MULTILINE)

    assert [(int(code), text.replace("`", "")) for code, text in told] == [
        (int(code), code.meaning) for code in ExitCode
    ]


def test_every_setting_says_what_it_is() -> None:
    assert [key for key, setting in declaration.table().items() if len(setting.help.split()) < 3] == []


def test_every_file_is_in_the_table_of_files() -> None:
    assert [path for path in own_paths() if f"`{path}`" not in FILES] == [], "say a word on it in docs/files.md"


@pytest.mark.parametrize("name", write.PAGES)
def test_what_follows_from_the_program_is_as_it_follows(name: str) -> None:
    assert (DOCS / name).read_text() == write.PAGES[name](), "write it anew: python -m docs.write"


def test_every_error_says_what_to_do() -> None:
    # Those with a remedy that only the place knows have a gap; a layer of «test» has its own.
    assert [error for error in raised() if not error.remedy and error.kind != "UnmetError"] == []


@pytest.mark.parametrize("symptom", re.findall(r"^### (?:Nix says )?`(.+)`", TROUBLES, re.MULTILINE))
def test_a_symptom_is_something_that_the_program_says_or_knows(symptom: str) -> None:
    if "says" in next(line for line in TROUBLES.splitlines() if f"`{symptom}`" in line and line.startswith("###")):
        # Nix's own words, of which the program knows some.
        known = [text for text in words() if len(text) > len("is required") and text in symptom]
        assert known
        return
    pieces = [re.escape(piece) for piece in symptom.split(GAP)]
    said = re.compile(".*".join(pieces), re.DOTALL)
    assert any(said.search(error.message) for error in raised())


@pytest.mark.parametrize(("document", "line"), COMMAND_LINES)
def test_a_command_line_is_one_that_the_program_takes(document: str, line: str) -> None:
    given = shlex.split(line)[1:]
    if given in (["--version"], ["--help"]):
        return
    parsed = cli.parser().parse_args(given)

    assert parsed.verb, f"in {document}"


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_settings_file_is_one_that_the_program_takes(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(block.text)

    loaded = config.load(file=tmp_path / "config.toml", environment={}, flags={})

    assert set(loaded.origins.values()) > {"default"}


@pytest.mark.parametrize(
    ("document", "said"),
    sorted({
        (document.name, said)
        for document in BY_HAND
        for said in re.findall(r"`([a-z_.]+ = [^`]+)`", document.read_text())
        if said.partition(" = ")[0] in declaration.table()
    }),
)  # fmt: skip
def test_a_setting_within_a_sentence_is_one(document: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(said)

    loaded = config.load(file=tmp_path / "config.toml", environment={}, flags={})

    assert str(tmp_path / "config.toml") in loaded.origins.values(), f"in {document}"


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_a_script_is_one(block: Block, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(block.text)

    assert process.run("bash", "-n", tmp_path / "script").stderr == ""


def test_a_firewall_s_rules_let_the_machine_reach_itself_and_forget_no_family() -> None:
    lines = [line for block in blocks("sh") for line in block.text.splitlines()]
    rules = [line for line in lines if line.startswith("nft add rule inet")]

    assert [rule for rule in rules if " iifname != lo " not in rule] == []
    assert [family for family in ("ip saddr", "meta nfproto ipv6") if not any(family in rule for rule in rules)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    lost = []
    for link in LINK.findall(document.read_text()):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            lost.append(link)

    assert lost == []


def test_the_readme_leads_to_every_document() -> None:
    listed = (ROOT / "README.md").read_text() + (DOCS / "README.md").read_text()

    assert [document.name for document in DOCS.glob("*.md") if f"{document.name})" not in listed] == []


def test_no_line_of_prose_is_longer_than_others() -> None:
    """A table's row and a link have to be on one line."""
    long = [
        f"{document.name}:{number}"
        for document in BY_HAND
        for number, line in enumerate(document.read_text().splitlines(), 1)
        if len(line) > 132 and not line.startswith(("|", "["))
    ]

    assert long == []


@pytest.mark.parametrize("document", ["README.md", "docs/clients.md"])
def test_the_build_to_try_is_the_one_that_the_program_names(document: str) -> None:
    assert compatibility.example() in (ROOT / document).read_text()


def test_the_index_leads_to_every_document() -> None:
    linked = set(LINK.findall((DOCS / "README.md").read_text()))
    assert {document.name for document in DOCS.glob("*.md")} - {"README.md"} <= linked
