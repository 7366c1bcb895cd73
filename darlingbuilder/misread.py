"""What is said of a command line: what it may have been meant as, and what finishes what was cut short."""

import difflib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from darlingbuilder.core import declaration, streams
from darlingbuilder.core.errors import BuilderError, InterruptionError, UsageError
from darlingbuilder.verbs import INTERNAL, VERBS, Verb, as_typed

_ANSWERED_AT_ONCE = frozenset({"-h", "--help", "--version"})
_OF_EVERY_VERB = ("--config", "--verbose", "--quiet", "--instance", "--state")


def refuse_other_verbs(words: Sequence[str]) -> None:
    """Raise UsageError where the first word is no verb; argparse would list them all, those of the units included."""
    for word in _without_instance(words):
        if word in _ANSWERED_AT_ONCE:
            continue
        if word.startswith("-"):
            raise UsageError(
                f"{word} stands before the verb", hint=f"what goes with a verb follows it: darlingbuilder VERB {word}"
            )
        if word not in {verb.name for verb in VERBS}:
            known = [verb.name for verb in VERBS if verb.overview != INTERNAL]
            raise UsageError(f"there is no verb {word!r}", hint=f"{_meant(word, known)}see: darlingbuilder --help")
        return


def refuse_left(verb: Verb, left: Sequence[str]) -> None:
    """Raise UsageError for what ``verb`` does not take."""
    if left:
        raise UsageError(
            f"{verb.name} does not take {' '.join(left)}",
            hint=f"{_meant(left[0], list(_flags(verb)))}see: darlingbuilder {verb.name} --help",
        )


def after_interruption(words: Sequence[str]) -> str:
    """Say what to do after the command ``words`` was interrupted."""
    verbs = {verb.name: verb for verb in VERBS}
    return _left_by(next((verbs[word] for word in _without_instance(words) if word in verbs), None))


@contextmanager
def cut_short(verb: Verb, instance: str) -> Iterator[None]:
    """Have what ends ``verb`` before its end be an error, whose remedy names the builder that it is about."""
    try:
        with _as_errors(verb):
            yield
    except BuilderError as error:
        error.hint = as_typed(error.hint, instance)
        raise


@contextmanager
def _as_errors(verb: Verb) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptionError("interrupted", hint=_left_by(verb)) from None
    except BrokenPipeError:
        streams.abandon_output()
        if verb.finished_by is not None:
            raise BuilderError("nobody reads what it prints any more", hint=_left_by(verb)) from None


def _left_by(verb: Verb | None) -> str:
    """Say what to do after ``verb`` was cut short; of None it is not known which one it was."""
    if verb and verb.finished_by is None:
        return "there is nothing to be finished: it changes nothing of the builder"
    return f"what was begun is finished by: darlingbuilder {verb.finished_by if verb else 'init'}"


def _without_instance(words: Sequence[str]) -> Iterator[str]:
    """Leave out what says which builder is meant: it may stand before the verb, and be called like one."""
    rest = iter(words)
    for word in rest:
        if word == "--instance":
            next(rest, None)
        elif not word.startswith("--instance="):
            yield word


def _flags(verb: Verb) -> Iterator[str]:
    yield from (argument.name for argument in verb.arguments if argument.name.startswith("--"))
    yield from _OF_EVERY_VERB
    if verb.takes_settings:
        yield from (setting.flag for setting in declaration.table().values())


def _meant(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word.partition("=")[0], known, n=2, cutoff=0.7)
    return f"did you mean {' or '.join(close)}? " if close else ""
