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
  ];
  refused = [
    (enabled { port = "2222"; })
    (enabled { port = 22; })
    (enabled { limits.minFree = "1 GB"; })
    (enabled { settings.protocol = "http"; })
    (enabled { colour = "blue"; })
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
        (enabled { maxJobs = 4; })
      ];
    }).config;
  broken = builtins.filter (one: !one.assertion) machine.assertions;
in
assert differing == [ ];
assert forgiven == [ ];
assert broken == [ ];
assert pkgs.lib.hasInfix "Host darling-builder" machine.environment.etc."ssh/ssh_config".text;
pkgs.runCommand "darlingbuilder-evaluation"
  {
    unit = machine.systemd.packages;
  }
  ''
    grep -r --include=darling-builder.service -h '^ExecStartPre=+/nix/store/.*/bin/darlingbuilder init$' $unit
    touch $out
  ''
