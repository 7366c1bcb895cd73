# What a module that «darlingbuilder export» has printed comes to: plain values, for a test to look at.
{
  module,
  # nixos or nix-darwin
  kind,
  lib ? import ./lib,
}:

let
  inherit
    (lib.evalModules {
      modules = [
        (if kind == "nixos" then ./nixos.nix else ./darwin.nix)
        module
      ];
    })
    config
    ;
in
{
  inherit (config.nix) buildMachines distributedBuilds;
  nix = config.nix.settings;
  knownHosts = builtins.attrValues config.programs.ssh.knownHosts;
  ssh =
    if kind == "nixos" then
      config.programs.ssh.extraConfig
    else
      builtins.concatStringsSep "" (map (file: file.text) (builtins.attrValues config.environment.etc));
}
