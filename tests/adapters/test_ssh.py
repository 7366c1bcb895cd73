"""The contract of whoever checks an sshd configuration: the real sshd, where the host has one, and the fake."""

import os
from pathlib import Path

import pytest

from darlingbuilder.adapters import process
from darlingbuilder.adapters.ssh import OpenSsh, Ssh
from darlingbuilder.core import keypair, render
from darlingbuilder.core.paths import AUTHORIZED_KEYS, HOST_KEY
from darlingbuilder.core.tree import Tree
from darlingbuilder.steps.sshd import session_environment
from tests.fakes.ssh import FakeSsh

OURS = render.template(
    "sshd_config.j2",
    user="darlingbuilder",
    port=2222,
    addresses=["127.0.0.1", "192.0.2.7", "::"],
    ipv6=True,
    host_key=HOST_KEY,
    authorized_keys=AUTHORIZED_KEYS,
    environment=session_environment(),
)
# The suite on the machine, which has an sshd, runs the same contract with the real one.
SERVERS = [pytest.param(FakeSsh(), id="fake")]
if process.find("sshd"):
    SERVERS.append(pytest.param(OpenSsh(), id="real"))


@pytest.fixture(params=SERVERS)
def ssh(request: pytest.FixtureRequest) -> Ssh:
    found: Ssh = request.param
    return found


@pytest.fixture
def host_key(tmp_path: Path) -> Path:
    Tree(tmp_path).write(Path("/host key"), keypair.generate("x"), mode=0o600)
    return tmp_path / "host key"


def test_our_configuration_is_right(ssh: Ssh, host_key: Path) -> None:
    assert ssh.config_errors(OURS, host_key) is None


@pytest.mark.parametrize("line", ["Prot 1", "Port many", "UsePAM perhaps"])
def test_a_wrong_line_is_quoted(ssh: Ssh, host_key: Path, line: str) -> None:
    said = ssh.config_errors(f"{line}\n{OURS}", host_key)
    assert said is not None
    assert said.startswith(("sshd_config: line 1: ", "sshd_config line 1: "))


def test_a_host_without_sshd_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if process.find("sshd") is not None:
        pytest.skip("this host has an sshd")
    assert OpenSsh().config_errors("Nonsense\n", tmp_path / "key") is None


def test_an_sshd_whose_service_was_never_started_is_no_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: what Debian's sshd says where /run/sshd is missing, having read the configuration
    sshd = tmp_path / "sshd"
    sshd.write_text("#!/bin/sh\necho 'Missing privilege separation directory: /run/sshd' >&2\nexit 255\n")
    sshd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    # then
    assert OpenSsh().config_errors(OURS, tmp_path / "key") is None
