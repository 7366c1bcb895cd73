"""OpenSSH on the host: ssh, and sshd's check of a configuration."""

from pathlib import Path
from typing import Protocol


class Ssh(Protocol):
    """What the builder needs of OpenSSH on the host."""

    def config_errors(self, config: str, host_key: Path) -> str | None:
        """Check an sshd configuration with «sshd -t», its HostKey replaced by ``host_key``.

        Gives what sshd says of it; None if it is right, or there is no sshd on the host that could be asked.
        """
