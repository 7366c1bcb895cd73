# The builder made known to the host's ssh and Nix.
{ config, lib, ... }:

let
  cfg = config.services.darling-builder;
  inherit (import ./program.nix { inherit lib; }) facts sshAlias;

  setting =
    name: if cfg.settings.${name} != null then cfg.settings.${name} else facts.settings.${name}.default;
  state = cfg.settings.state;
  included = "@${state}/${facts.our_machines}";
  onDemand = setting "on_demand";
  pinned = cfg.publicHostKey != null;
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = pinned -> builtins.isInt cfg.settings.max_jobs;
        message = ''
          services.darling-builder.maxJobs: nix.buildMachines, where a machine with a publicHostKey stands, takes no
          "auto". Give a number, or leave services.darling-builder.publicHostKey out.
        '';
      }
    ];

    warnings = lib.optional (!pinned && !(lib.hasInfix included (toString config.nix.settings.builders))) ''
      nix.settings.builders is set, and does not lead to the builder of services.darling-builder. Add ;${included} to
      it (without a blank), or set services.darling-builder.publicHostKey, which puts it into nix.buildMachines.
    '';

    # First, for ssh takes the first value that it meets; and what follows is everybody's again.
    programs.ssh.extraConfig = lib.mkBefore ''
      ${sshAlias {
        inherit (cfg.settings) port key;
        user = setting "user";
        connect_seconds =
          facts.connect_seconds + (if onDemand then facts.boots_awaited * cfg.settings.boot_timeout else 0);
        known_hosts = "${state}/${facts.known_hosts}";
      }}
      Match all
    '';

    nix.distributedBuilds = true;
    nix.settings = {
      builders-use-substitutes = lib.mkDefault true;
      # The host key is made on the machine: the service writes the line. No blank before the second @, for Nix
      # before 2.34 would take it for a machine's name.
      builders = lib.mkIf (!pinned) (lib.mkDefault "@${facts.machines_file};${included}");
    };
    nix.buildMachines = lib.mkIf pinned [
      {
        hostName = facts.alias;
        protocol = setting "protocol";
        systems = [ facts.system ];
        sshKey = cfg.settings.key;
        # "auto" is refused above, with a remedy.
        maxJobs = if builtins.isInt cfg.settings.max_jobs then cfg.settings.max_jobs else 1;
        speedFactor = cfg.settings.speed_factor;
        supportedFeatures = cfg.settings.supported_features;
        mandatoryFeatures = cfg.settings.mandatory_features;
        inherit (cfg) publicHostKey;
      }
    ];
  };
}
