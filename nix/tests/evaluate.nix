# What a NixOS with the module and `module` comes to: plain values, for a test to look at.
{
  module ? { },
  # A file as users import it.
  imported ? ../module.nix,
  lib ? import ./lib,
  packages ? { },
}:

let
  pkgs = import ./packages.nix ({ inherit lib; } // packages);
  machine = {
    programs.ssh.package = pkgs.openssh;
    nix.package = pkgs.nix;
    systemd.package = pkgs.systemd;
  };
  modules = [
    ./nixos.nix
    imported
    machine
    module
  ];
  inherit
    (lib.evalModules {
      inherit modules;
      specialArgs = { inherit pkgs; };
    })
    config
    options
    ;
  names = map (package: package.name);
  describe =
    tree:
    if tree._type or "" == "option" then
      {
        type = tree.type.description;
        default = tree.default or null;
      }
    else
      builtins.mapAttrs (_: describe) tree;
in
{
  options = describe options.services.darling-builder;
  values = if config.services.darling-builder.enable then config.services.darling-builder else null;
  inherit (config) users warnings;
  inherit (config.nix) buildMachines distributedBuilds;
  nix = config.nix.settings;
  refused = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
  toml = builtins.mapAttrs (_: file: file.source.content) config.environment.etc;
  units = builtins.mapAttrs (
    _: unit:
    unit
    // {
      path = names unit.path;
      restartTriggers = names unit.restartTriggers;
    }
  ) config.systemd.services;
  sockets = config.systemd.sockets;
  timers = config.systemd.timers;
  unit = map (package: package.text) config.systemd.packages;
  programs = names config.environment.systemPackages;
  wrappers = config.security.wrappers;
  ssh = config.programs.ssh.extraConfig;
}
