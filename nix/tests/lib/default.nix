# As much of nixpkgs' lib as the module uses, written anew from what it promises: it evaluates the module where there is
# a Nix and no nixpkgs. Whatever is missing here is an error, never a difference.
let
  lists = {
    optional = wanted: value: if wanted then [ value ] else [ ];
    last = list: builtins.elemAt list (builtins.length list - 1);
    toList = value: if builtins.isList value then value else [ value ];
  };

  attrsets = rec {
    optionalAttrs = wanted: attributes: if wanted then attributes else { };
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    mapAttrs' = f: set: builtins.listToAttrs (mapAttrsToList f set);
    setAttrByPath =
      path: value:
      if path == [ ] then
        value
      else
        { ${builtins.head path} = setAttrByPath (builtins.tail path) value; };
    recursiveUpdate =
      left: right:
      left
      // builtins.mapAttrs (
        name: value:
        if builtins.isAttrs value && builtins.isAttrs (left.${name} or null) then
          recursiveUpdate left.${name} value
        else
          value
      ) right;
    filterAttrsRecursive =
      keep: set:
      builtins.listToAttrs (
        builtins.concatMap (
          name:
          let
            value = set.${name};
          in
          lists.optional (keep name value) {
            inherit name;
            value = if builtins.isAttrs value then filterAttrsRecursive keep value else value;
          }
        ) (builtins.attrNames set)
      );
  };

  strings = {
    inherit (builtins) concatStringsSep;
    splitString = mark: text: builtins.filter builtins.isString (builtins.split (escape mark) text);
    optionalString = wanted: text: if wanted then text else "";
    hasInfix = part: text: builtins.replaceStrings [ part ] [ "" ] text != text;
    hasPrefix = start: text: builtins.substring 0 (builtins.stringLength start) text == start;
    removePrefix =
      start: text:
      let
        long = builtins.stringLength start;
      in
      if builtins.substring 0 long text == start then builtins.substring long (-1) text else text;
    removeSuffix =
      end: text:
      let
        rest = builtins.stringLength text - builtins.stringLength end;
      in
      if rest >= 0 && builtins.substring rest (-1) text == end then
        builtins.substring 0 rest text
      else
        text;
    makeBinPath = packages: builtins.concatStringsSep ":" (map (one: "${one}/bin") packages);
  };

  packages = {
    cleanSource = path: path;
    getExe = package: "${package}/bin/${package.meta.mainProgram}";
    licenses.mit.spdxId = "MIT";
  };

  # The pattern that matches the text `mark` itself.
  escape =
    mark:
    builtins.replaceStrings
      [ "\\" "." "[" "]" "(" ")" "{" "}" "*" "+" "?" "|" "^" "$" ]
      [ "\\\\" "\\." "\\[" "]" "\\(" "\\)" "\\{" "}" "\\*" "\\+" "\\?" "\\|" "\\^" "\\$" ]
      mark;

  modules = import ./modules.nix {
    inherit (attrsets) recursiveUpdate setAttrByPath;
    inherit lib types;
  };
  types = import ./types.nix { inherit modules; };

  lib =
    lists
    // attrsets
    // strings
    // packages
    // modules
    // {
      inherit types;
      importJSON = file: builtins.fromJSON (builtins.readFile file);
    };
in
lib
