"""The examples of the documents: their blocks of code, and every command line of darlingbuilder in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = (*sorted(ROOT.glob("*.md")), *sorted(Path(__file__).parent.glob("*.md")))
_BLOCK = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_TOOL = "darlingbuilder "
# A synopsis, not a command line.
_SYNOPSIS = re.compile(r"[\[\]…|]|VERB|[A-Z]{4,}|ExecStart")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: where it stands, below which heading or bold word, and in which language."""

    document: Path
    below: str
    language: str
    text: str

    def __str__(self) -> str:
        """Name it for a test."""
        return f"{self.document.name}: {self.below}"


def blocks(language: str) -> list[Block]:
    """List the blocks of ``language`` in all documents."""
    return [block for document in DOCUMENTS for block in _blocks(document) if block.language == language]


def command_lines() -> Iterator[tuple[Path, str]]:
    """Give every command line of darlingbuilder, in blocks and within sentences, and the document that has it."""
    for document in DOCUMENTS:
        text = document.read_text()
        spans = [span for line in _BLOCK.sub("", text).splitlines() for span in _SPAN.findall(line)]
        lines = [line for block in _blocks(document) for line in block.text.splitlines()]
        lines += [line.strip() for line in text.splitlines() if line.startswith("    ")]
        for said in (*spans, *(line.partition(" > ")[0].partition("  #")[0] for line in lines)):
            if said.startswith(_TOOL) and not _SYNOPSIS.search(said):
                yield document, said


def _blocks(document: Path) -> Iterator[Block]:
    text = document.read_text()
    for found in _BLOCK.finditer(text):
        titles = re.findall(r"^(?:#+ (.*)|\*\*(.*?)\*\*.*)$", text[: found.start()], re.MULTILINE)
        yield Block(document, "".join(titles[-1]) if titles else "", found["language"], found["text"])
