# The types of options: which values they take, and how several definitions become one.
{ modules }:

let
  inherit (builtins) all concatMap elem foldl' isAttrs isInt isList isString;
  inherit (modules) evalModules mergeDefinitions showOption;

  valuesOf = map (definition: definition.value);

  equal =
    loc: definitions:
    let
      first = (builtins.head definitions).value;
    in
    if all (value: value == first) (valuesOf definitions) then
      first
    else
      throw "The option `${showOption loc}' has conflicting definition values.";

  simple = description: check: {
    inherit description check;
    merge = equal;
  };

  isDerivation = value: isAttrs value && value.type or "" == "derivation";
  isStringLike = value: isString value || builtins.isPath value || value ? outPath;

  either = first: second: {
    description = "${first.description} or ${second.description}";
    check = value: first.check value || second.check value;
    merge =
      loc: definitions:
      if all first.check (valuesOf definitions) then
        first.merge loc definitions
      else if all second.check (valuesOf definitions) then
        second.merge loc definitions
      else
        equal loc definitions;
  };

  # Definitions of the elements of all `definitions`, which are lists.
  elements =
    definitions:
    concatMap (
      definition:
      map (value: {
        inherit (definition) file;
        inherit value;
      }) definition.value
    ) definitions;
in
rec {
  inherit either;
  bool = simple "boolean" builtins.isBool;
  int = simple "signed integer" isInt;
  float = simple "floating point number" builtins.isFloat;
  str = simple "string" isString;
  anything = simple "anything" (_: true);
  package = simple "package" isDerivation;
  path = simple "absolute path" (
    value: isStringLike value && builtins.substring 0 1 (toString value) == "/"
  );
  enum = values: simple "one of ${builtins.toJSON values}" (value: elem value values);
  strMatching =
    pattern:
    simple "string matching the pattern ${pattern}" (
      value: isString value && builtins.match pattern value != null
    );
  ints = {
    between =
      low: high:
      simple "integer between ${toString low} and ${toString high} (both inclusive)" (
        value: isInt value && value >= low && value <= high
      );
    positive = simple "positive integer, meaning >0" (value: isInt value && value > 0);
  };
  lines = simple "strings concatenated with \"\\n\"" isString // {
    merge = _: definitions: builtins.concatStringsSep "\n" (valuesOf definitions);
  };

  oneOf = types: foldl' either (builtins.head types) (builtins.tail types);

  nullOr = type: {
    description = "null or ${type.description}";
    check = value: value == null || type.check value;
    merge =
      loc: definitions:
      if all (value: value == null) (valuesOf definitions) then
        null
      else if elem null (valuesOf definitions) then
        throw "The option `${showOption loc}' is defined both null and not null."
      else
        type.merge loc definitions;
  };

  listOf = type: {
    description = "list of ${type.description}";
    check = isList;
    merge =
      loc: definitions:
      concatMap (
        definition:
        let
          merged = mergeDefinitions (loc ++ [ "*" ]) type [ definition ];
        in
        if merged.isDefined then [ merged.value ] else [ ]
      ) (elements definitions);
  };

  attrsOf = type: {
    description = "attribute set of ${type.description}";
    check = isAttrs;
    merge =
      loc: definitions:
      let
        found = builtins.mapAttrs (name: mergeDefinitions (loc ++ [ name ]) type) (
          builtins.zipAttrsWith (_: values: values) (
            map (
              definition:
              builtins.mapAttrs (_: value: {
                inherit (definition) file;
                inherit value;
              }) definition.value
            ) definitions
          )
        );
        names = builtins.filter (name: found.${name}.isDefined) (builtins.attrNames found);
      in
      builtins.listToAttrs (
        map (name: {
          inherit name;
          inherit (found.${name}) value;
        }) names
      );
  };

  submodule = module: {
    description = "submodule";
    check = value: isAttrs value || builtins.isFunction value;
    merge =
      loc: definitions:
      (evalModules {
        prefix = loc;
        specialArgs.name = builtins.elemAt loc (builtins.length loc - 1);
        modules = [ module ] ++ map (definition: { config = definition.value; }) definitions;
      }).config;
  };
}
