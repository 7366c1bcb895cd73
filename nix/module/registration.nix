# The builders made known to the host's ssh and Nix.
{ config, lib, ... }:

let
  program = import ./program.nix { inherit lib; };
  inherit (program) facts;
  builders = program.enabled config.services.darling-builder;
  isPinned = one: one.cfg.publicHostKey != null;
  pinned = builtins.filter isPinned builders;
  others = builtins.filter (one: !(isPinned one)) builders;

  alias =
    one:
    program.sshAlias one {
      inherit (one.cfg.settings) port key;
      user = one.setting "user";
      connect_seconds =
        facts.connect_seconds
        + (if one.setting "on_demand" then facts.boots_awaited * one.cfg.settings.boot_timeout else 0);
      known_hosts = "${one.state}/${facts.known_hosts}";
    };

  machine = one: {
    hostName = one.names.alias;
    protocol = one.setting "protocol";
    systems = [ facts.system ];
    sshKey = one.cfg.settings.key;
    # "auto" is refused elsewhere, with a remedy.
    maxJobs = if builtins.isInt one.cfg.settings.max_jobs then one.cfg.settings.max_jobs else 1;
    speedFactor = one.cfg.settings.speed_factor;
    supportedFeatures = one.cfg.settings.supported_features;
    mandatoryFeatures = one.cfg.settings.mandatory_features;
    inherit (one.cfg) publicHostKey;
  };
in
{
  config = lib.mkIf (builders != [ ]) {
    # First, for ssh takes the first value that it meets; and what follows is everybody's again.
    programs.ssh.extraConfig = lib.mkBefore ''
      ${lib.concatStringsSep "\n" (map alias builders)}
      Match all
    '';

    nix.distributedBuilds = true;
    nix.settings = {
      builders-use-substitutes = lib.mkDefault true;
      # The host key is made on the machine: the service writes the line. No blank before an @, for Nix before 2.34
      # would take it for a machine's name.
      builders = lib.mkIf (others != [ ]) (
        lib.mkDefault (
          lib.concatStringsSep ";" ([ "@${facts.machines_file}" ] ++ map (one: one.included) others)
        )
      );
    };
    nix.buildMachines = lib.mkIf (pinned != [ ]) (map machine pinned);
  };
}
