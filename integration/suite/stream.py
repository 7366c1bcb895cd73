"""Builds that come all the time, by several who build at once, while something is done to the builder."""

from collections.abc import Iterator
from contextlib import contextmanager

from integration.suite.site import Site

STREAMS = 3
PLACE = "/root/streams"
PARTS = """
  { name, nonce, parts }: map (part: derivation {
    inherit nonce; name = "${name}-${toString part}"; system = "x86_64-darwin"; builder = "/bin/sh";
    args = [ "-c" "/bin/sleep 0.2; echo done > $out" ];
  }) (builtins.genList (part: part) parts)
"""
STREAM = f"""
cd {PLACE}/$1 || exit 1
n=0
while [ ! -e ../stop ]; do
  n=$((n + 1))
  if nix-build --no-out-link --max-jobs 0 --argstr name stream-$1-$n --argstr nonce "$2" --arg parts $3 \\
    ../parts.nix > out 2>&1
  then echo ok >> good
  else {{ echo "build $n:"; cat out; }} >> bad
  fi
done
"""


@contextmanager
def stream(site: Site, nonce: str, *, parts: int = 1) -> Iterator[None]:
    """Have builds run all the time meanwhile, and see that some did and none failed.

    ``parts``: so many in each call of Nix; more than there are slots have its build hooks wait for one.
    """
    directories = [f"{PLACE}/{number}" for number in range(STREAMS)]
    site.machine.run("sh", "-c", f"rm -rf {PLACE}; mkdir -p {' '.join(directories)}")
    site.file(f"{PLACE}/parts.nix").write_text(PARTS)
    site.file(f"{PLACE}/stream").write_text(STREAM)
    running = [
        site.machine.popen("sh", f"{PLACE}/stream", str(number), nonce, str(parts), env={"NIX_REMOTE": "daemon"})
        for number in range(STREAMS)
    ]
    try:
        site.machine.run("sh", "-c", f"until [ -e {PLACE}/0/good ]; do sleep 0.1; done")
        yield
    finally:
        site.machine.run("touch", f"{PLACE}/stop")
        for one in running:
            one.communicate(timeout=180)
    assert [file.read_text() for file in site.file(PLACE).glob("*/bad")] == []
    good = [file.read_text().split() for file in site.file(PLACE).glob("*/good")]
    assert sum(map(len, good)) > STREAMS
