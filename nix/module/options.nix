# The options: those of the builder without a name, and beside it the same ones for each that has a name.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:

let
  inherit (lib) mkOption types;
  program = import ./program.nix { inherit lib; };
  builder = chosen: import ./builder.nix ({ inherit config lib pkgs; } // chosen);

  first = builder {
    name = program.facts.instances.default;
    cfg = config.services.darling-builder;
    options = options.services.darling-builder;
  };

  # Its arguments are named, for it is by these names that a module is given them.
  instance =
    {
      name,
      config,
      options,
      ...
    }:
    let
      one = builder {
        inherit name options;
        cfg = config;
      };
    in
    {
      options = one.options // {
        # Whoever names one wants it.
        enable = one.options.enable // {
          default = true;
        };
      };
      config.settings = one.settings;
    };
in
{
  options.services.darling-builder = first.options // {
    instances = mkOption {
      type = types.attrsOf (types.submodule instance);
      default = { };
      example = {
        second = {
          maxJobs = 2;
          supportedFeatures = [ "second" ];
        };
      };
      description = ''
        Further builders of this machine, each by a name of up to 13 small letters, digits and hyphens, with the options
        that {option}`services.darling-builder` itself has, and the same defaults, but for what no two can share: port,
        directory, key and user follow from the name. Darling and the program are the first one's, unless said
        otherwise. {option}`services.darling-builder.enable` is about the first one alone.
      '';
    };
  };

  config.services.darling-builder.settings = first.settings;
}
