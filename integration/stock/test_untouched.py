"""What no correction is for: return values, errno and everyday programs are the same with the shim as without."""

import pytest

from .guest import WHOLE, WITHOUT, Guest, Preload, all_but, only


def _calls(guest: Guest, preload: Preload) -> list[str]:
    script = 'D=/private/tmp/untouched-$$; mkdir $D && "$PROGRAMS/untouched" $D; rm -rf $D'
    return guest.run(script, preload).text.splitlines()


PRELOADS = {
    "all": WHOLE,
    "spawn alone": only("spawn"),
    "all but signals": all_but("signals"),
    "all but spawn": all_but("spawn"),
}


@pytest.mark.parametrize("preload", PRELOADS.values(), ids=PRELOADS)
def test_other_calls_return_what_they_return(guest: Guest, preload: Preload) -> None:
    stock, shimmed = _calls(guest, WITHOUT), _calls(guest, preload)
    assert stock[-1] == "end", stock
    assert shimmed == stock


EVERYDAY = (
    "echo a b c | tr ' ' '\\n' | sort -r | head -2",
    "printf '%s\\n' one two | sed -n 2p; false; echo $?",
    "cd /private/tmp && mkdir -p d/e && touch d/e/f && tar -cf - d | tar -tf - | sort; rm -r d",
    "bash -c 'exit 7'; echo $?; /nowhere; echo $?; (exit 9); echo $?",
    'x=$(echo hello | gzip | gzip -d); echo "$x"',
    "sleep 0.2 & sleep 0.1 & wait; echo $?",
    'read -r line < <(echo from a process); echo "$line"',
    "seq 200 2> /dev/null | wc -l; ls / | wc -l",
)


@pytest.mark.parametrize("script", EVERYDAY)
def test_everyday_scripts_print_what_they_print(guest: Guest, script: str) -> None:
    stock, shimmed = guest.run(f"{script}; echo end"), guest.run(f"{script}; echo end", WHOLE)
    assert stock.text.endswith("end\n"), stock
    assert (shimmed.text, shimmed.rc) == (stock.text, stock.rc), shimmed
