"""What others have written, the guest's user above all, made fit for a terminal and for JSON."""


def plain(text: str) -> str:
    """Mark in a line of ``text`` what a terminal would obey, or would not show, and what is no Unicode.

    A tab becomes a space: where it leads to is for a terminal to say.
    """
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text.replace("\t", " ")
    )
