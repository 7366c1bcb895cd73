# The settings file, the unit, the user, Darling's wrapper; and what is refused before anything is built.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.darling-builder;
  option = name: "services.darling-builder.${name}";
  inherit (import ./program.nix { inherit lib; }) facts;

  onDemand =
    if cfg.settings.on_demand != null then cfg.settings.on_demand else facts.settings.on_demand.default;
  name = lib.removeSuffix ".service" facts.unit;
  user = if cfg.settings.user != null then cfg.settings.user else facts.settings.user.default;

  file = (pkgs.formats.toml { }).generate "darlingbuilder.toml" (
    lib.filterAttrsRecursive (_: value: value != null) cfg.settings
  );

  # Written by the program, which refuses settings that are wrong together: such a system is not built.
  unit = pkgs.runCommand "${name}-unit" { preferLocalBuild = true; } ''
    mkdir -p $out/lib/systemd/system
    ${cfg.toolPackage}/bin/darlingbuilder config unit --config ${file} > $out/lib/systemd/system/${facts.unit}
    ${lib.optionalString onDemand ''
      ${cfg.toolPackage}/bin/darlingbuilder config socket --config ${file} > $out/lib/systemd/system/${facts.socket}
      ${cfg.toolPackage}/bin/darlingbuilder config proxy --config ${file} \
        | sed "s|^ExecStart=[^ ]*|ExecStart=${config.systemd.package}/lib/systemd/systemd-socket-proxyd|" \
        > $out/lib/systemd/system/${facts.proxy}
    ''}
  '';

  own = lib.toList (config.nix.settings.extra-platforms or [ ]);
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = pkgs.stdenv.hostPlatform.system == "x86_64-linux";
        message = ''
          ${option "enable"}: Darling runs programs of Intel's Macs, and this machine is a
          ${pkgs.stdenv.hostPlatform.system}. Enable it on an x86_64-linux one, and let this one build there.
        '';
      }
      {
        assertion = config.nix.enable;
        message = ''
          ${option "enable"}: the host's Nix fills the guest's store, and nix.enable is false.
          Set nix.enable = true.
        '';
      }
      {
        assertion = cfg.installNix -> cfg.nix.package == null;
        message = ''
          ${option "installNix"} and ${option "nix.package"} both choose the guest's Nix.
          Keep one of them.
        '';
      }
      {
        assertion = cfg.installNix -> builtins.elem cfg.nixVersion facts.nix_versions;
        message = ''
          ${option "nixVersion"}: the store path of Nix ${cfg.nixVersion} for ${facts.system} is not known.
          Known are ${lib.concatStringsSep ", " facts.nix_versions}. For any other, leave installNix out and set
          ${option "nix.package"}, or ${option "settings"}.nix.tarball with nix.sha256.
        '';
      }
      {
        assertion = !(builtins.elem facts.system own);
        message = ''
          nix.settings.extra-platforms has ${facts.system}: Nix never sends a system that it counts as its own to
          a builder. Remove it there.
        '';
      }
    ];

    warnings =
      lib.optional
        (cfg.settings.darling == null && cfg.package == null && !(config.security.wrappers ? darling))
        ''
          ${option "package"} is null, and nobody makes security.wrappers.darling: the service will not start unless
          Darling's launcher is on its PATH, setuid root. Set ${option "package"} to a Darling: this nixpkgs has none.
        '';

    environment.etc.${lib.removePrefix "/etc/" facts.config_file}.source = file;
    environment.systemPackages = [ cfg.toolPackage ];

    # One that is named otherwise is somebody else's, who describes it.
    users = lib.mkIf (user == facts.settings.user.default) {
      users.${user} = {
        isSystemUser = true;
        group = user;
        description = "darlingbuilder's Darling guest";
      };
      groups.${user} = { };
    };

    # By default, so that whoever makes this wrapper too has their way.
    security.wrappers = lib.mkIf (cfg.setuidWrapper && cfg.package != null) {
      darling = builtins.mapAttrs (_: lib.mkDefault) {
        source = "${cfg.package}/bin/darling";
        owner = "root";
        group = "root";
        setuid = true;
      };
    };

    systemd.packages = [ unit ];
    systemd.sockets = lib.mkIf onDemand {
      ${lib.removeSuffix ".socket" facts.socket}.wantedBy = [ "sockets.target" ];
    };
    systemd.services.${name} = {
      wantedBy = lib.optional (!onDemand) "multi-user.target";
      # The first start fetches the guest's Nix.
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "nix-daemon.socket"
      ];
      path = [
        config.programs.ssh.package
        config.nix.package
        pkgs.shadow
      ];
      restartTriggers = [ file ];
    };
  };
}
