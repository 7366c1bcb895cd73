# The options of one builder. Those with a name of their own are definitions of its `settings`, which alone decide.
{
  lib,
  pkgs,
  # The machine's configuration.
  config,
  # The builder, the values of its options, and these themselves.
  name,
  cfg,
  options,
}:

let
  inherit (lib) literalExpression mkOption types;
  top = config.services.darling-builder;
  program = import ./program.nix { inherit lib; };
  inherit (import ./named.nix { inherit lib; })
    always
    definitions
    limits
    named
    ;
  inherit (program) facts settings;
  default = program.defaultsOf name;
  first = program.isDefault name;
  names = if first then facts.names else facts.instances.names;
  # As the manual names the options.
  here = option: "services.darling-builder.${if first then "" else "instances.<name>."}${option}";

  # Whose settings these are is said by where they stand.
  own = settings // {
    instance = settings.instance // {
      type = types.enum [ name ];
    };
  };

  ofSetting =
    key: said:
    mkOption (
      {
        inherit (settings.${key}) type;
        default = default.${key};
        description = "The setting `${key}`: ${settings.${key}.help}.";
      }
      // said
    );

  # A setting with an option has no default of its own: it is always defined by that option, with its priority.
  setting =
    key: declared:
    mkOption (
      {
        description = "${declared.help}.";
      }
      // (
        if builtins.elem key always then
          { inherit (declared) type; }
        else
          {
            type = types.nullOr declared.type;
            default = null;
          }
      )
    );

  darling = builtins.tryEval (pkgs.darling or null);
  # Whoever chooses another Darling, or another way to its rights, has a wrapper of their own.
  samePackage = !first && cfg.package == top.package;
  sameDarling = samePackage && cfg.setuidWrapper == top.setuidWrapper;
in
{
  options = {
    enable = lib.mkEnableOption "Darling-based x86_64-darwin remote Nix builder";

    package = mkOption {
      type = types.nullOr types.package;
      default = if !first then top.package else if darling.success then darling.value else null;
      defaultText = literalExpression (
        if first then
          "pkgs.darling, where nixpkgs still has it; otherwise null"
        else
          "config.services.darling-builder.package"
      );
      description = ''
        Darling. With `null`, its launcher is looked for on the service's PATH and in
        {file}`/run/wrappers/bin`, where it has to be setuid root.
      '';
    };

    setuidWrapper = mkOption {
      type = types.bool;
      default = if samePackage then top.setuidWrapper else cfg.package != null;
      defaultText = literalExpression (
        if first then
          "config.services.darling-builder.package != null"
        else
          ''
            if package == config.services.darling-builder.package
            then config.services.darling-builder.setuidWrapper
            else package != null''
      );
      description = ''
        Whether to make Darling's launcher setuid root, as {option}`security.wrappers.darling`: it mounts the
        guest's root before it gives up its rights.
      '';
    };

    toolPackage = mkOption {
      type = types.package;
      default =
        if first then pkgs.darlingbuilder or (pkgs.callPackage ../package.nix { }) else top.toolPackage;
      defaultText = literalExpression (
        if first then "pkgs.darlingbuilder" else "config.services.darling-builder.toolPackage"
      );
      description = "darlingbuilder itself.";
    };

    onDemand = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether nothing is to run until somebody connects: systemd has the port, and the first connection starts the
        builder. With {option}`${here "settings.idle_timeout"}` it is stopped again when nothing needs it.
      '';
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
        Whether the guest's Nix is to be the one of {option}`${here "nixVersion"}`. Otherwise it
        is {option}`${here "nix.package"}`, or the newest one with a known store path. No installer
        is run, and nothing has to be installed by hand: the host's Nix fetches it and checks its signature.
      '';
    };

    nixVersion = mkOption {
      type = types.strMatching "[0-9]+([.][0-9]+)+";
      default = facts.default_nix;
      description = ''
        The version of Nix to install with {option}`${here "installNix"}`. Known are
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
        {command}`base64 -w0 ${default.state}/keys/ssh_host_ed25519_key.pub` prints once the service
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
          ) own
        );
      };
      default = { };
      example = literalExpression ''{ grace = 60; nix.tarball = "/srv/nix.tar.xz"; nix.sha256 = "…"; }'';
      description = ''
        Every setting of darlingbuilder, by its own name; see {manpage}`darlingbuilder(1)`. It becomes
        {file}`${names.config_file}`, and what is wrong with it as a whole makes the build of the unit fail.
      '';
    };

    store = mkOption {
      type = types.nullOr settings.store.type;
      default = null;
      description = ''
        The setting `store`: ${settings.store.help}. With `null`, {option}`${here "shareStore"}`
        decides between `overlay` and `copy`.
      '';
    };
  }
  // builtins.mapAttrs (_: key: ofSetting key { }) (
    removeAttrs named [
      "port"
      "prefixPath"
    ]
  )
  // {
    port = ofSetting "port" (
      if first then
        { }
      else
        { defaultText = literalExpression "one from ${toString facts.instances.first_port} on, by the name"; }
    );
    prefixPath = ofSetting "state" {
      description = ''
        The builder's own directory, of which the Darling prefix is {file}`guest/prefix`: Darling sets up a prefix
        only where there is none, in a directory that the guest's user can write. At most 65 bytes.
      '';
    };
  };

  settings = lib.mkMerge [
    (definitions options)
    { instance = lib.mkIf (!first) name; }
    {
      # NixOS does both, and /etc is not the program's to change.
      register = false;
      install_unit = false;
      darling =
        if sameDarling then
          lib.mkIf (top.settings.darling != null) (lib.mkDefault top.settings.darling)
        else
          lib.mkIf cfg.setuidWrapper (
            lib.mkDefault "${config.security.wrapperDir}/${program.wrapperOf top (program.builder name cfg)}"
          );
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
