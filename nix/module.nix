# The NixOS module: services.darling-builder. What it knows of the program stands in facts.json, which the program writes.
{
  imports = [
    ./module/options.nix
    ./module/refusals.nix
    ./module/service.nix
    ./module/registration.nix
  ];
}
