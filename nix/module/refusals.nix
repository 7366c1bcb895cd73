# What is refused before anything is built, each with its option and a remedy; and what is remarked on.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  top = config.services.darling-builder;
  program = import ./program.nix { inherit lib; };
  inherit (program) facts;
  builders = program.enabled top;
  # The one that a remark about the machine is made for.
  enable = (builtins.head builders).option "enable";

  own = lib.toList (config.nix.settings.extra-platforms or [ ]);

  ofMachine = [
    {
      assertion = pkgs.stdenv.hostPlatform.system == "x86_64-linux";
      message = ''
        ${enable}: Darling runs programs of Intel's Macs, and this machine is a
        ${pkgs.stdenv.hostPlatform.system}. Enable it on an x86_64-linux one, and let this one build there.
      '';
    }
    {
      assertion = config.nix.enable;
      message = ''
        ${enable}: the host's Nix fills the guest's store, and nix.enable is false.
        Set nix.enable = true.
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

  ofBuilder = one: [
    {
      assertion = one.cfg.installNix -> one.cfg.nix.package == null;
      message = ''
        ${one.option "installNix"} and ${one.option "nix.package"} both choose the guest's Nix.
        Keep one of them.
      '';
    }
    {
      assertion = one.cfg.installNix -> builtins.elem one.cfg.nixVersion facts.nix_versions;
      message = ''
        ${one.option "nixVersion"}: the store path of Nix ${one.cfg.nixVersion} for ${facts.system} is not known.
        Known are ${lib.concatStringsSep ", " facts.nix_versions}. For any other, leave installNix out and set
        ${one.option "nix.package"}, or ${one.option "settings"}.nix.tarball with nix.sha256.
      '';
    }
    {
      assertion = one.cfg.publicHostKey != null -> builtins.isInt one.cfg.settings.max_jobs;
      message = ''
        ${one.option "maxJobs"}: nix.buildMachines, where a machine with a publicHostKey stands, takes no
        "auto". Give a number, or leave ${one.option "publicHostKey"} out.
      '';
    }
  ];

  misnamed = map (name: {
    assertion = false;
    message = ''
      services.darling-builder.instances: "${name}" is no name of a builder beside ${facts.instances.default}, which is
      services.darling-builder itself. Choose up to 13 small letters, digits and hyphens, a letter first, no hyphen last.
    '';
  }) (program.misnamed top);

  warningsOf =
    one:
    lib.optional
      (
        one.cfg.settings.darling == null && one.cfg.package == null && !(config.security.wrappers ? darling)
      )
      ''
        ${one.option "package"} is null, and nobody makes security.wrappers.darling: the service will not start unless
        Darling's launcher is on its PATH, setuid root. Set ${one.option "package"} to a Darling: this nixpkgs has none.
      ''
    ++
      lib.optional
        (
          one.cfg.publicHostKey == null
          && !(lib.hasInfix one.included (toString config.nix.settings.builders))
        )
        ''
          nix.settings.builders is set, and does not lead to the builder of ${one.all}. Add ;${one.included} to
          it (without a blank), or set ${one.option "publicHostKey"}, which puts it into nix.buildMachines.
        '';
in
{
  config = {
    assertions =
      misnamed
      ++ (if builders == [ ] then [ ] else ofMachine)
      ++ builtins.concatMap ofBuilder builders
      ++ import ./apart.nix { inherit lib; } builders;
    warnings = builtins.concatMap warningsOf builders;
  };
}
