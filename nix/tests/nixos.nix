# The options of NixOS that the module defines or reads, with the types that they have in nixpkgs' nixos/modules.
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
    assertions = of (types.listOf types.anything) [ ];
    warnings = of (types.listOf types.str) [ ];

    environment.etc = of (attributes { source = required types.path; }) { };
    environment.systemPackages = of (types.listOf types.package) [ ];

    users.users = of (attributes {
      isSystemUser = of types.bool false;
      group = of types.str "";
      description = of types.str "";
    }) { };
    users.groups = of (attributes { }) { };

    security.wrapperDir = of types.path "/run/wrappers/bin";
    security.wrappers = of (attributes {
      source = required types.path;
      owner = required types.str;
      group = required types.str;
      setuid = of types.bool false;
    }) { };

    systemd.package = required types.package;
    systemd.sockets = of (attributes { wantedBy = of (types.listOf types.str) [ ]; }) { };
    systemd.packages = of (types.listOf types.package) [ ];
    systemd.services = of (attributes {
      wantedBy = of (types.listOf types.str) [ ];
      wants = of (types.listOf types.str) [ ];
      after = of (types.listOf types.str) [ ];
      path = of (types.listOf types.package) [ ];
      restartTriggers = of (types.listOf types.anything) [ ];
    }) { };

    programs.ssh.extraConfig = of types.lines "";
    programs.ssh.package = required types.package;

    nix.enable = of types.bool true;
    nix.package = required types.package;
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
