# The options of NixOS that the module defines or reads, with the types that they have in nixpkgs' nixos/modules.
{ lib, ... }:

let
  inherit (lib) mkOption types;
  of = type: default: mkOption { inherit type default; };
  required = type: mkOption { inherit type; };
  attributes = options: types.attrsOf (types.submodule { inherit options; });
in
{
  imports = [ ./shared.nix ];

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
    systemd.timers = of (attributes { wantedBy = of (types.listOf types.str) [ ]; }) { };
    systemd.packages = of (types.listOf types.package) [ ];
    systemd.services = of (attributes {
      wantedBy = of (types.listOf types.str) [ ];
      description = of types.str "";
      before = of (types.listOf types.str) [ ];
      wants = of (types.listOf types.str) [ ];
      after = of (types.listOf types.str) [ ];
      path = of (types.listOf types.package) [ ];
      restartTriggers = of (types.listOf types.anything) [ ];
      serviceConfig = of (types.attrsOf types.anything) { };
    }) { };

    programs.ssh.extraConfig = of types.lines "";
    programs.ssh.package = required types.package;

    nix.enable = of types.bool true;
    nix.package = required types.package;
  };
}
