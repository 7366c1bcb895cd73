{
  description = "Turn a Linux machine into its own x86_64-darwin Nix builder, with Darling";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";

  outputs =
    { self, nixpkgs }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system}.extend self.overlays.default;
    in
    {
      overlays.default = import ./nix/overlay.nix;
      nixosModules.default = import ./nix/module.nix;
      packages.${system} = {
        inherit (pkgs) darlingbuilder;
        default = pkgs.darlingbuilder;
      };
      checks.${system} = import ./nix/tests {
        inherit pkgs;
      };
    };
}
