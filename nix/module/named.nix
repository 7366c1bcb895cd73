# Which settings have an option of a name of their own, and how that option defines them.
{ lib }:

let
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

  as = option: lib.mkDerivedConfig option (value: value);
  all =
    table: options:
    lib.mapAttrs' (name: key: {
      name = key;
      value = as options.${name};
    }) table;
  isSaid = option: option.highestPrio < (lib.mkOptionDefault null).priority;
in
{
  inherit limits named;

  # Those that are defined in any case.
  always = builtins.attrValues named ++ builtins.attrValues limits;

  # The definitions that the options of a builder come to, each with the priority that its option has.
  definitions =
    options:
    lib.mkMerge [
      (all named options)
      (all limits options.limits)
      # Only if somebody says so: the settings file of whoever says nothing stays as it was.
      { on_demand = lib.mkIf (isSaid options.onDemand) (as options.onDemand); }
    ];
}
