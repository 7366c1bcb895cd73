# The module by the name that its first users know.
{ imports = [ ./module.nix ]; }
