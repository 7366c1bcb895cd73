"""Probes of the guest's processes: what is told of their end, whom a signal ends, how many files they may open."""

import re

from darlingbuilder.adapters.process import Completed
from darlingbuilder.steps.prerequisites import cure
from darlingbuilder.steps.prerequisites.finding import Verdict, failure, ok, warning
from darlingbuilder.steps.prerequisites.guest import QUESTION_SECONDS, STATUS, answer, ask, first_question
from darlingbuilder.steps.prerequisites.scratch import Scratch, UnseenError, outcome

_LIMIT_SECONDS = 5.0
_LOST = 128 + 9
_TERMINATED = 128 + 15
_BY_HAND = "run it by hand: darling shell"


def status(scratch: Scratch) -> Verdict:
    """Run a command that ends with a status of its own."""
    return judge_status(scratch.once(first_question))


def judge_status(said: Completed) -> Verdict:
    """Say whether a command's status comes through."""
    if said.code == STATUS:
        return ok(f"{STATUS} comes back as {STATUS}", STATUS)
    return failure(f"a command that ends with {STATUS}: {outcome(said, QUESTION_SECONDS)}", _BY_HAND, said.code)


def killed(scratch: Scratch) -> Verdict:
    """Run a command that is ended by SIGKILL."""
    return judge_killed(ask(scratch, "kill -9 $$").code)


def judge_killed(code: int) -> Verdict:
    """Say whether a command that was killed can be told from one that went well."""
    if code == 0:
        return warning(
            "a command that SIGKILL has ended gives 0",
            "nothing: the builder asks for a word that only success prints; do the same in scripts of your own",
            code,
        )
    if code == _LOST:
        return ok(f"{code}", code)
    return ok(f"{code}, not 0", code)


def group(scratch: Scratch) -> Verdict:
    """Run a script one of whose children is ended by SIGTERM."""
    return judge_group(ask(scratch, "bash -c 'kill -TERM $$'; echo survived=$?"))


def judge_group(said: Completed) -> Verdict:
    """Say whether the signal has ended more than the process that it was for."""
    survived = re.search(r"^survived=(\d+)$", said.stdout, re.MULTILINE)
    if survived is None:
        return warning(
            f"SIGTERM to a child ends its parent, too ({outcome(said, 0)})", cure.hint("signals"), said.code
        )
    code = int(survived[1])
    if code == _TERMINATED:
        return ok("a signal ends the process that it is for, alone", code)
    return warning(f"a child that SIGTERM ends gives {code}, not {_TERMINATED}", _BY_HAND, code)


def open_files(scratch: Scratch) -> Verdict:
    """Ask for the soft limit of open files: in the builder's own container if it is up."""
    settings, builder = scratch.surroundings.settings, scratch.surroundings.world.darling
    question = "ulimit -Sn"
    if builder.server() is None:
        return judge_open_files(answer(scratch, question, r"\d+|unlimited"), settings.nofile, "a new container")
    limit = scratch.left(_LIMIT_SECONDS)
    said = builder.run("bash", "-c", question, timeout=limit)
    found = re.findall(r"^(\d+|unlimited)$", said.stdout, re.MULTILINE)
    if not found:
        raise UnseenError(f"«{question}» in the builder: {outcome(said, limit)}", hint="see: darlingbuilder status")
    return judge_open_files(found[-1], settings.nofile, "the builder's container")


def judge_open_files(told: str, wanted: int, where: str) -> Verdict:
    """Compare the limit with the one that is set: Nix closes each descriptor before it starts a builder."""
    detail = f"{told} in {where}"
    figure = int(told) if told.isdigit() else told
    if isinstance(figure, int) and figure <= wanted:
        return ok(detail, figure)
    return warning(
        f"{detail}; {wanted} are set",
        "see what raises it: systemctl cat «the unit»; then: darlingbuilder restart",
        figure,
    )
