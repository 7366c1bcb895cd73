"""The outside world behind small protocols: programs, Darling, systemd, Nix, accounts, processes."""
