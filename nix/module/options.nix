# The options. Those with a name of their own are definitions of `settings`, which alone decides.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:

let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.darling-builder;
  program = import ./program.nix { inherit lib; };
  inherit (program) facts settings;

  # option → setting
  named = {
    port = "port";
    maxJobs = "max_jobs";
    speedFactor = "speed_factor";
    sshKeyPath = "key";
    prefixPath = "state";
    supportedFeatures = "supported_features";
    mandatoryFeatures = "mandatory_features";
  };
  limits = {
    cores = "cores";
    minFree = "min_free";
    maxFree = "max_free";
    openFiles = "nofile";
    bootTimeout = "boot_timeout";
    grace = "grace";
  };

  ofSetting =
    key: said:
    mkOption (
      {
        inherit (settings.${key}) type default;
        description = "The setting `${key}`: ${settings.${key}.help}.";
      }
      // said
    );

  # A setting with an option has no default of its own: it is always defined by that option, with its priority.
  defined = builtins.attrValues named ++ builtins.attrValues limits;
  setting =
    key: declared:
    mkOption (
      {
        description = "${declared.help}.";
      }
      // (
        if builtins.elem key defined then
          { inherit (declared) type; }
        else
          {
            type = types.nullOr declared.type;
            default = null;
          }
      )
    );
  definitions =
    among: table:
    lib.mapAttrs' (name: key: {
      name = key;
      value = lib.mkDerivedConfig among.${name} (value: value);
    }) table;

  darling = builtins.tryEval (pkgs.darling or null);
in
{
  options.services.darling-builder = {
    enable = lib.mkEnableOption "Darling-based x86_64-darwin remote Nix builder";

    package = mkOption {
      type = types.nullOr types.package;
      default = if darling.success then darling.value else null;
      defaultText = literalExpression "pkgs.darling, where nixpkgs still has it; otherwise null";
      description = ''
        Darling. With `null`, its launcher is looked for on the service's PATH and in
        {file}`/run/wrappers/bin`, where it has to be setuid root.
      '';
    };

    setuidWrapper = mkOption {
      type = types.bool;
      default = cfg.package != null;
      defaultText = literalExpression "config.services.darling-builder.package != null";
      description = ''
        Whether to make Darling's launcher setuid root, as {option}`security.wrappers.darling`: it mounts the
        guest's root before it gives up its rights.
      '';
    };

    toolPackage = mkOption {
      type = types.package;
      default = pkgs.darlingbuilder or (pkgs.callPackage ../package.nix { });
      defaultText = literalExpression "pkgs.darlingbuilder";
      description = "darlingbuilder itself.";
    };

    shareStore = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether the guest sees the host's store, so that inputs need not be copied: as an overlay, the guest's own
        store above the host's. A link, as it once was, makes builds hang or fail.
      '';
    };

    installNix = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the guest's Nix is to be the one of {option}`services.darling-builder.nixVersion`. Otherwise it
        is {option}`services.darling-builder.nix.package`, or the newest one with a known store path. No installer
        is run, and nothing has to be installed by hand: the host's Nix fetches it and checks its signature.
      '';
    };

    nixVersion = mkOption {
      type = types.strMatching "[0-9]+([.][0-9]+)+";
      default = facts.default_nix;
      description = ''
        The version of Nix to install with {option}`services.darling-builder.installNix`. Known are
        ${lib.concatStringsSep ", " facts.nix_versions}.
      '';
    };

    nix.package = mkOption {
      type = types.nullOr (types.either settings."nix.package".type types.package);
      default = null;
      example = literalExpression ''(import <nixpkgs> { system = "x86_64-darwin"; }).nix'';
      description = "The guest's Nix: a package for x86_64-darwin, or its store path.";
    };

    publicHostKey = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9+/]+={0,2}");
      default = null;
      description = ''
        The guest's public host key, as {option}`nix.buildMachines` wants it: what
        {command}`base64 -w0 ${facts.settings.state.default}/keys/ssh_host_ed25519_key.pub` prints once the service
        has run. With `null`, Nix is led to the file with the machine's line that the service itself writes; the key
        is pinned in both cases.
      '';
    };

    limits = builtins.mapAttrs (_: key: ofSetting key { }) limits;

    settings = mkOption {
      type = types.submodule {
        freeformType = (pkgs.formats.toml { }).type;
        options = builtins.foldl' lib.recursiveUpdate { } (
          lib.mapAttrsToList (
            key: declared: lib.setAttrByPath (lib.splitString "." key) (setting key declared)
          ) settings
        );
      };
      default = { };
      example = literalExpression ''{ grace = 60; nix.tarball = "/srv/nix.tar.xz"; nix.sha256 = "…"; }'';
      description = ''
        Every setting of darlingbuilder, by its own name; see {manpage}`darlingbuilder(1)`. It becomes
        {file}`${facts.config_file}`, and what is wrong with it as a whole makes the build of the unit fail.
      '';
    };

    store = mkOption {
      type = types.nullOr settings.store.type;
      default = null;
      description = ''
        The setting `store`: ${settings.store.help}. With `null`, {option}`services.darling-builder.shareStore`
        decides between `overlay` and `copy`.
      '';
    };
  }
  // builtins.mapAttrs (_: key: ofSetting key { }) (removeAttrs named [ "prefixPath" ])
  // {
    prefixPath = ofSetting "state" {
      description = ''
        The builder's own directory, of which the Darling prefix is {file}`guest/prefix`: Darling sets up a prefix
        only where there is none, in a directory that the guest's user can write. At most 65 bytes.
      '';
    };
  };

  config.services.darling-builder.settings = lib.mkMerge [
    (definitions options.services.darling-builder named)
    (definitions options.services.darling-builder.limits limits)
    {
      # NixOS does both, and /etc is not the program's to change.
      register = false;
      install_unit = false;
      darling = lib.mkIf cfg.setuidWrapper (lib.mkDefault "${config.security.wrapperDir}/darling");
      nix = lib.mkMerge [
        (lib.mkIf cfg.installNix { version = cfg.nixVersion; })
        (lib.mkIf (cfg.nix.package != null) { package = "${cfg.nix.package}"; })
      ];
    }
    {
      store =
        if cfg.store != null then
          cfg.store
        else
          lib.mkDefault (if cfg.shareStore then "overlay" else "copy");
    }
  ];
}
