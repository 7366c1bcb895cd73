# Our own lib and nixpkgs' make the same of the module, and of what it has to refuse; and so do NixOS's own modules.
{ pkgs }:

let
  enabled = options: { services.darling-builder = { enable = true; } // options; };
  key = "c3NoLWVkMjU1MTkgQUFBQQo=";

  accepted = [
    { }
    (enabled { })
    (enabled { publicHostKey = key; })
    (enabled { settings.colour = "blue"; })
    (enabled {
      port = 2345;
      maxJobs = 8;
      prefixPath = "/srv/builder";
      supportedFeatures = [ "kvm" ];
      installNix = true;
      limits.cores = 2;
      settings.port = pkgs.lib.mkForce 3333;
      settings.nix.tarball = "/srv/nix.tar.xz";
    })
    (enabled {
      onDemand = true;
      instances.second = {
        maxJobs = 2;
        publicHostKey = key;
        settings.metrics_textfile = "/srv/second.prom";
      };
      instances.third.onDemand = true;
    })
    # Refused by assertions, which are values.
    (enabled {
      instances.second = {
        port = 2222;
        sshKeyPath = "/var/lib/darling-builder/key";
      };
      instances.Third = { };
    })
  ];
  refused = [
    (enabled { port = "2222"; })
    (enabled { port = 22; })
    (enabled { limits.minFree = "1 GB"; })
    (enabled { settings.protocol = "http"; })
    (enabled { colour = "blue"; })
    (enabled { instances.second.port = "2222"; })
    (enabled { instances.second.settings.instance = "third"; })
    (enabled { instances.second.colour = "blue"; })
    (enabled { settings.instance = "second"; })
    (enabled {
      onDemand = false;
      settings.on_demand = true;
    })
    (enabled {
      port = 4444;
      settings.port = 3333;
    })
  ];

  seen =
    lib: module:
    let
      found = import ./evaluate.nix { inherit lib module; };
    in
    # The words for a type are each lib's own.
    builtins.toJSON (removeAttrs found [ "options" ]);
  fails = lib: module: !(builtins.tryEval (seen lib module)).success;
  own = import ./lib;

  differing = builtins.filter (module: seen own module != seen pkgs.lib module) accepted;
  forgiven = builtins.filter (module: !(fails own module) || !(fails pkgs.lib module)) refused;

  machine =
    (import "${toString pkgs.path}/nixos/lib/eval-config.nix" {
      inherit (pkgs.stdenv.hostPlatform) system;
      modules = [
        ../module.nix
        {
          nixpkgs.overlays = [ (import ../overlay.nix) ];
          boot.loader.grub.enable = false;
          fileSystems."/".device = "/dev/null";
          system.stateVersion = pkgs.lib.trivial.release;
        }
        (enabled {
          maxJobs = 4;
          instances.second = {
            onDemand = true;
            settings.metrics_textfile = "/srv/second.prom";
          };
        })
      ];
    }).config;
  broken = builtins.filter (one: !one.assertion) machine.assertions;
in
assert differing == [ ];
assert forgiven == [ ];
assert broken == [ ];
assert pkgs.lib.hasInfix "Host darling-builder\n" machine.environment.etc."ssh/ssh_config".text;
assert pkgs.lib.hasInfix "Host darling-builder-second\n" machine.environment.etc."ssh/ssh_config".text;
assert machine.systemd.sockets ? "darling-builder@second";
pkgs.runCommand "darlingbuilder-evaluation"
  {
    units = machine.systemd.packages;
  }
  ''
    grep -r --include=darling-builder.service -h '^ExecStartPre=+/nix/store/.*/bin/darlingbuilder init$' $units
    grep -r --include=darling-builder@second.service -h \
      '^ExecStartPre=+/nix/store/.*/bin/darlingbuilder init --instance=second$' $units
    grep -r --include=darling-builder-metrics@second.service -h 'darlingbuilder metrics --textfile=/srv/second.prom' $units
    touch $out
  ''
