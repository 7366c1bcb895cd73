# As much of nixpkgs as the module and the package touch before anything is built. A derivation is its name and its text.
{
  lib,
  system ? "x86_64-linux",
  # Where the program is, for a test that runs what would be built.
  tool ? "/nix/store/00000000000000000000000000000000-darlingbuilder",
  withDarling ? true,
  # As nixpkgs has what it has dropped.
  brokenDarling ? false,
}:

let
  inherit (lib) types;
  named = name: path: {
    type = "derivation";
    inherit name;
    outPath = path;
  };
  stored = name: named name "/nix/store/00000000000000000000000000000000-${name}";

  value = types.oneOf [
    types.bool
    types.int
    types.float
    types.str
    types.path
    (types.attrsOf value)
    (types.listOf value)
  ] // { description = "TOML value"; };
in
{
  stdenv.hostPlatform = { inherit system; };
  darlingbuilder = named "darlingbuilder" tool;
  shadow = stored "shadow";
  openssh = stored "openssh";
  nix = stored "nix";
  systemd = stored "systemd";
  formats.toml = _: {
    type = value;
    generate = name: content: stored name // { inherit content; };
  };
  runCommand = name: attributes: text: stored name // { inherit attributes text; };
}
// (
  if brokenDarling then
    { darling = throw "darling has been removed"; }
  else if withDarling then
    { darling = stored "darling"; }
  else
    { }
)
