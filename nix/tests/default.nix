# The checks that need nixpkgs. `darling`: one for the virtual machine, where there is one.
{
  pkgs,
  darling ? null,
}:

{
  evaluation = import ./evaluation.nix { inherit pkgs; };
  nixos = import ./nixos-test.nix { inherit pkgs darling; };
}
