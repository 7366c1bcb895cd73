# The settings files, the units, the users, Darling's wrappers: what each builder has of the machine.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  top = config.services.darling-builder;
  program = import ./program.nix { inherit lib; };
  builders = program.enabled top;
  each = of: lib.mkMerge (map of builders);

  service = lib.removeSuffix ".service";
  socket = lib.removeSuffix ".socket";
  timer = lib.removeSuffix ".timer";

  settingsFile =
    one:
    (pkgs.formats.toml { }).generate
      (if program.isDefault one.name then "darlingbuilder.toml" else "darlingbuilder-${one.name}.toml")
      (lib.filterAttrsRecursive (_: value: value != null) one.cfg.settings);

  initial =
    one:
    builtins.replaceStrings [ "darling-builder" ] [ "darling-builder-init" ] (service one.names.unit);
  starting = one: {
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
    restartTriggers = [ (settingsFile one) ];
  };

  measured = one: one.setting "metrics_textfile" != "";

  # Written by the program, which refuses settings that are wrong together: such a system is not built.
  units =
    one:
    let
      print =
        what:
        "${one.cfg.toolPackage}/bin/darlingbuilder${one.whose} config ${what} --config ${settingsFile one}";
      into = unit: "> $out/lib/systemd/system/${unit}";
    in
    pkgs.runCommand "${one.names.alias}-unit" { preferLocalBuild = true; } ''
      mkdir -p $out/lib/systemd/system
      ${print "unit"} ${into one.names.unit}
      ${lib.optionalString (one.setting "on_demand") ''
        ${print "socket"} ${into one.names.socket}
        ${print "proxy"} \
          | sed "s|^ExecStart=[^ ]*|ExecStart=${config.systemd.package}/lib/systemd/systemd-socket-proxyd|" \
          ${into one.names.proxy}
      ''}${lib.optionalString (measured one) ''
        ${print "metrics"} ${into one.names.metrics_service}
        ${print "timer"} ${into one.names.metrics_timer}
      ''}
    '';
in
{
  config = lib.mkIf (builders != [ ]) {
    environment.etc = each (one: {
      ${lib.removePrefix "/etc/" one.names.config_file}.source = settingsFile one;
    });
    # Whichever builder it is asked about.
    environment.systemPackages = [ top.toolPackage ];

    # One that is named otherwise is somebody else's, who describes it.
    users.users = each (
      one:
      lib.mkIf one.ownUser {
        ${one.setting "user"} = {
          isSystemUser = true;
          group = one.setting "user";
          description = "darlingbuilder's Darling guest";
        };
      }
    );
    users.groups = each (one: lib.mkIf one.ownUser { ${one.setting "user"} = { }; });

    # By default, so that whoever makes such a wrapper too has their way.
    security.wrappers = each (
      one:
      lib.mkIf (one.cfg.setuidWrapper && one.cfg.package != null) {
        ${program.wrapperOf top one} = builtins.mapAttrs (_: lib.mkDefault) {
          source = "${one.cfg.package}/bin/darling";
          owner = "root";
          group = "root";
          setuid = true;
        };
      }
    );

    systemd.packages = map units builders;
    systemd.sockets = each (
      one:
      lib.mkIf (one.setting "on_demand") {
        ${socket one.names.socket}.wantedBy = [ "sockets.target" ];
      }
    );
    systemd.timers = each (
      one: lib.mkIf (measured one) { ${timer one.names.metrics_timer}.wantedBy = [ "timers.target" ]; }
    );
    systemd.services = lib.mkMerge [
      (each (one: {
        ${service one.names.unit} = starting one // {
          wantedBy = lib.optional (!one.setting "on_demand") "multi-user.target";
        };
      }))
      # Without it there would be no key, and no line that leads Nix here: nobody would ever be the first to connect.
      (each (
        one:
        lib.mkIf (one.setting "on_demand") {
          ${initial one} = starting one // {
            description = "What leads to the x86_64-darwin Nix builder that waits for a connection";
            wantedBy = [ "multi-user.target" ];
            before = [ one.names.unit ];
            serviceConfig = {
              Type = "oneshot";
              RemainAfterExit = true;
              # Run by systemd, it leaves the builder itself down.
              ExecStart = "${one.cfg.toolPackage}/bin/darlingbuilder${one.whose} init";
              # A machine that boots unattended may have neither DNS nor a cache yet. What waits for a start goes on when
              # that has failed, and does not wait for the next.
              Restart = "on-failure";
              RestartSec = 30;
            };
          };
        }
      ))
    ];
  };
}
