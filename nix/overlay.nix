# Adds darlingbuilder to nixpkgs.
final: _prev: { darlingbuilder = final.callPackage ./package.nix { }; }
