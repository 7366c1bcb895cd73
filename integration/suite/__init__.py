"""The whole tool on a real machine: systemd, Nix, OpenSSH, and a Darling or its stand-in."""
