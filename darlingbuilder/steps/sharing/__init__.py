"""What the guest's Nix knows of the host's store paths, where the two stores are laid over each other."""
