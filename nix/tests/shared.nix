# The options that NixOS and nix-darwin have in common, with the types that they have there.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  of = type: default: mkOption { inherit type default; };
  required = type: mkOption { inherit type; };
  attributes = options: types.attrsOf (types.submodule { inherit options; });
  atom = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      types.package
    ]
  );
in
{
  options = {
    programs.ssh.knownHosts = of (attributes {
      hostNames = of (types.listOf types.str) [ ];
      publicKey = of (types.nullOr types.str) null;
    }) { };
    nix.distributedBuilds = of types.bool false;
    nix.settings = of (types.submodule {
      freeformType = types.attrsOf (types.either atom (types.listOf atom));
    }) { };
    nix.buildMachines = of (types.listOf (
      types.submodule {
        options = {
          hostName = required types.str;
          protocol = of (types.enum [
            null
            "ssh"
            "ssh-ng"
          ]) "ssh";
          systems = of (types.listOf types.str) [ ];
          sshKey = of (types.nullOr types.str) null;
          maxJobs = of types.int 1;
          speedFactor = of types.int 1;
          supportedFeatures = of (types.listOf types.str) [ ];
          mandatoryFeatures = of (types.listOf types.str) [ ];
          publicHostKey = of (types.nullOr types.str) null;
        };
      }
    )) [ ];
  };
}
