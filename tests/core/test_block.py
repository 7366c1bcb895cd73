"""Our block in foreign text."""

from hypothesis import assume, given
from hypothesis import strategies as st

from darlingbuilder.core import block

LOOKALIKES = (
    "# BEGIN darlingbuilder", "# END darlingbuilder", "# BEGIN darlingbuilder (no newline before)",
    "# BEGIN darlingbuilder-two", "## END darlingbuilder", " # BEGIN darlingbuilder", "# END darlingbuilder ",
)  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(LOOKALIKES), st.sampled_from(["\n", "\r\n", "\r", "\u2028", "\x85", "\udcff"]), st.text()
)
FOREIGN = st.lists(PIECES).map("".join)
OURS = st.lists(st.text(st.characters(exclude_characters="#\n"))).map(lambda lines: "".join(f"{x}\n" for x in lines))


@given(FOREIGN, OURS)
def test_taking_the_block_out_gives_back_every_byte(text: str, ours: str) -> None:
    # given: a text in which nobody has a whole block of ours
    assume(block.without(text) == text)
    # when
    edited = block.with_block(text, ours)
    # then
    assert block.lines_of(edited) == ours
    assert block.without(edited) == text


@given(FOREIGN, OURS, OURS)
def test_a_new_block_replaces_the_old_one(text: str, old: str, new: str) -> None:
    assume(block.without(text) == text)
    assert block.with_block(block.with_block(text, old), new) == block.with_block(text, new)


@given(FOREIGN.filter(bool), OURS, FOREIGN.filter(bool))
def test_lines_that_were_added_behind_the_block_stay_lines_of_their_own(text: str, ours: str, added: str) -> None:
    assume(block.without(text) == text and block.without(added) == added)
    # given: somebody appends to the file after us
    edited = block.with_block(text, ours) + added
    # then
    assert block.without(edited) == (text if text.endswith("\n") else f"{text}\n") + added


def test_a_file_that_was_not_there_is_not_there_afterwards() -> None:
    edited = block.with_block(None, "ours\n")
    assert block.without(edited) is None
    assert block.without(f"{edited}theirs\n") == "theirs\n"


def test_an_empty_file_is_empty_afterwards() -> None:
    assert block.without(block.with_block("", "ours\n")) == ""


def test_a_block_whose_last_newline_an_editor_has_dropped_is_still_ours() -> None:
    edited = block.with_block("theirs\n", "ours\n").removesuffix("\n")
    assert block.lines_of(edited) == "ours\n"
    assert block.without(edited) == "theirs\n"


def test_a_text_without_our_block_has_no_lines_of_ours() -> None:
    assert block.lines_of(None) is None
    assert block.lines_of("theirs\n") is None
