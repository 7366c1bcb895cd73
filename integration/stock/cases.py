"""The defects of a stock Darling that the shim corrects, each as a script and what it prints with and without it."""

from dataclasses import dataclass

STRAY = "sys_proc_info(): Unsupported pidinfo flavor: 1\n"

# A Darling that keeps no flags may say so (ENOTSUP), one that keeps them may clear them (0): Nix takes both.
_LCHFLAGS_ON_A_LINK = """\
ln -sfn nowhere /private/tmp/link
"$PROGRAMS/flags" lchflags 0 /private/tmp/link | sed 's/^0 none$/-1 ENOTSUP/'
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A defect: what a script prints on a stock Darling, and what where it is corrected or mended."""

    correction: str
    script: str
    stated: str
    right: str

    def __str__(self) -> str:
        return self.correction


CASES = (
    Case("getsockopt", '"$PROGRAMS/sockopt"', "0 200\n", "0 0\n"),
    Case("proc_pidinfo", '"$PROGRAMS/pidinfo" 2> /dev/null', f"{STRAY}done\n", "done\n"),
    Case("lchflags", _LCHFLAGS_ON_A_LINK, "-1 EINVAL\n", "-1 ENOTSUP\n"),
    Case(
        "accept",
        '"$PROGRAMS/acceptnull" inet',
        "group: SEGV\n",
        "unasked: served\nfamily: right\nasked: served\ngroup: exit 0\n",
    ),
    Case("poll", '"$PROGRAMS/polling" cancel', "stuck\n", "cancelled\n"),
    Case(
        "signals",
        '"$PROGRAMS/signals" fork kill TERM',
        "group: TERM\n",
        "child: TERM\nsibling: alive\ngroup: exit 0\n",
    ),
)
