# Without flakes: nix-build gives the package; «-A module» and «-A overlay» are for a configuration.
{
  pkgs ? import <nixpkgs> { },
}:

(pkgs.extend (import ./nix/overlay.nix)).darlingbuilder
// {
  module = ./nix/module.nix;
  overlay = import ./nix/overlay.nix;
}
