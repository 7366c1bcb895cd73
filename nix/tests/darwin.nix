# What nix-darwin has besides, of all that an exported module defines: the files of /etc, and no text for ssh.
{ lib, ... }:

let
  inherit (lib) mkOption types;
in
{
  imports = [ ./shared.nix ];

  options.environment.etc = mkOption {
    type = types.attrsOf (
      types.submodule {
        options.text = mkOption {
          type = types.lines;
          default = "";
        };
      }
    );
    default = { };
  };
}
