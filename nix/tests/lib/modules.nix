# The module system: options are declared, definitions of many modules are merged by priority and order.
{
  recursiveUpdate,
  setAttrByPath,
  types,
  lib,
}:

let
  inherit (builtins) concatMap filter foldl' isAttrs;

  typeOfMark = value: if isAttrs value then value._type or "" else "";
  showOption = builtins.concatStringsSep ".";
  ordinary = 100;
  ofDefaults = 1500;
  unordered = 1000;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = order: content: {
    _type = "order";
    inherit order content;
  };

  # The sets that a definition of a whole set of options consists of, conditions and priorities moved inwards.
  inwards =
    value:
    {
      merge = concatMap inwards value.contents;
      "if" = map (builtins.mapAttrs (_: mkIf value.condition)) (inwards value.content);
      override = map (builtins.mapAttrs (_: mkOverride value.priority)) (inwards value.content);
    }
    .${typeOfMark value} or [ value ];

  # The values that a definition of one option consists of.
  discharged =
    value:
    {
      merge = concatMap discharged value.contents;
      "if" = if value.condition then discharged value.content else [ ];
    }
    .${typeOfMark value} or [ value ];

  priorityOf =
    definition:
    if typeOfMark definition.value == "override" then definition.value.priority else ordinary;
  orderOf =
    definition: if typeOfMark definition.value == "order" then definition.value.order else unordered;
  content = mark: definition: {
    inherit (definition) file;
    value = if typeOfMark definition.value == mark then definition.value.content else definition.value;
  };

  # Those definitions that count, in their order, and their priority.
  counting =
    definitions:
    let
      all = concatMap (
        definition:
        map (value: {
          inherit (definition) file;
          inherit value;
        }) (discharged definition.value)
      ) definitions;
      priority = foldl' (
        least: definition: if priorityOf definition < least then priorityOf definition else least
      ) 10000 all;
      strongest = map (content "override") (filter (one: priorityOf one == priority) all);
    in
    {
      inherit priority;
      definitions = map (content "order") (builtins.sort (a: b: orderOf a < orderOf b) strongest);
    };

  # The value of the definitions of one option, or of one element of it.
  mergeDefinitions =
    loc: type: definitions:
    let
      found = counting definitions;
      wrong = filter (definition: !(type.check definition.value)) found.definitions;
    in
    {
      inherit (found) priority;
      isDefined = found.definitions != [ ];
      value =
        if found.definitions == [ ] then
          throw "The option `${showOption loc}' was accessed but has no value defined."
        else if wrong != [ ] then
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition in ${(builtins.head wrong).file}."
        else
          type.merge loc found.definitions;
    };

  evaluateOption =
    loc: declared: definitions:
    let
      default =
        if declared ? default then
          [
            {
              file = "the option's default";
              value = mkOverride ofDefaults declared.default;
            }
          ]
        else
          [ ];
      merged = mergeDefinitions loc declared.type (definitions ++ default);
    in
    declared
    // {
      inherit (merged) isDefined value;
      highestPrio = merged.priority;
      inherit loc;
    };

  # Go down the tree of the options. `options`: those found; `unmatched`: definitions that nothing was declared for.
  descend =
    loc: declarations: definitions:
    let
      declaredNames = builtins.attrNames (foldl' (all: one: all // one) { } declarations);
      parts = concatMap (
        definition:
        map (set: {
          inherit (definition) file;
          inherit set;
        }) (inwards definition.value)
      ) definitions;
      of =
        name:
        concatMap (
          part:
          if part.set ? ${name} then
            [
              {
                inherit (part) file;
                value = part.set.${name};
              }
            ]
          else
            [ ]
        ) parts;
      below =
        name:
        let
          here = concatMap (one: if one ? ${name} then [ one.${name} ] else [ ]) declarations;
          leaves = filter (one: typeOfMark one == "option") here;
          path = loc ++ [ name ];
        in
        if leaves == [ ] then
          descend path here (of name)
        else if builtins.length here > 1 then
          throw "The option `${showOption path}' is declared more than once."
        else
          {
            options = evaluateOption path (builtins.head leaves) (of name);
            unmatched = [ ];
          };
      found = builtins.listToAttrs (
        map (name: {
          inherit name;
          value = below name;
        }) declaredNames
      );
    in
    {
      options = builtins.mapAttrs (_: one: one.options) found;
      unmatched =
        concatMap (name: found.${name}.unmatched) declaredNames
        ++ concatMap (
          part:
          map (name: {
            inherit (part) file;
            path = loc ++ [ name ];
            value = part.set.${name};
          }) (builtins.attrNames (removeAttrs part.set declaredNames))
        ) parts;
    };

  valuesOf =
    tree: if typeOfMark tree == "option" then tree.value else builtins.mapAttrs (_: valuesOf) tree;

  # A module as the set of its parts, and those that it imports before it.
  collect =
    arguments: file: module:
    let
      isFile = builtins.isPath module || builtins.isString module;
      name = if isFile then toString module else file;
      loaded = if isFile then import module else module;
      set = if builtins.isFunction loaded then loaded arguments else loaded;
      whole = set ? config || set ? options;
    in
    concatMap (collect arguments name) (set.imports or [ ])
    ++ [
      {
        file = name;
        options = set.options or { };
        config = if whole then set.config or { } else removeAttrs set [ "imports" "freeformType" ];
        freeform = set.freeformType or null;
      }
    ];

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      all = concatMap (collect (specialArgs // { inherit config lib options; }) "a module") modules;
      found = descend prefix (map (module: module.options) all) (
        map (module: {
          inherit (module) file;
          value = module.config;
        }) all
      );
      inherit (found) options;
      freeforms = filter (type: type != null) (map (module: module.freeform) all);
      here = builtins.length prefix;
      free = map (one: {
        inherit (one) file;
        value = setAttrByPath (from here one.path) one.value;
      }) found.unmatched;
      declared = valuesOf options;
      config =
        if freeforms != [ ] then
          recursiveUpdate (
            if free == [ ] then { } else (mergeDefinitions prefix (builtins.head freeforms) free).value
          ) declared
        else if found.unmatched != [ ] then
          throw "The option `${showOption (builtins.head found.unmatched).path}' does not exist."
        else
          declared;
    in
    {
      inherit config options;
    };

  from =
    start: list:
    builtins.genList (number: builtins.elemAt list (start + number)) (builtins.length list - start);
in
{
  inherit
    evalModules
    mergeDefinitions
    mkIf
    mkMerge
    showOption
    ;
  mkOptionDefault = mkOverride ofDefaults;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;
  # An option's value as a definition of another, with the same priority.
  mkDerivedConfig = option: f: mkOverride option.highestPrio (f option.value);
  mkOption = declared: declared // { _type = "option"; };
  mkEnableOption =
    what:
    {
      _type = "option";
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
}
