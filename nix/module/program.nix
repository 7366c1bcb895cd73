# The program as the module sees it: its facts, its settings' types, its templates, and what each builder has of its own.
{ lib }:

let
  facts = lib.importJSON ../facts.json;
  inherit (facts) instances;

  typeOf =
    schema:
    if schema ? enum then
      lib.types.enum schema.enum
    else if schema ? anyOf then
      lib.types.oneOf (map typeOf schema.anyOf)
    else
      {
        integer = lib.types.ints.between schema.minimum schema.maximum;
        boolean = lib.types.bool;
        string = lib.types.strMatching schema.pattern;
        array = lib.types.listOf (typeOf schema.items);
      }
      .${schema.type};

  # What the program's aliases have in common, its own and a client's, in the place where a template includes it.
  common = builtins.replaceStrings [ "{% include \"ssh_common.j2\" %}\n" ] [
    (builtins.readFile ../../darlingbuilder/templates/ssh_common.j2)
  ];

  # Fill in a template of the program's; it is an error if there is a name in it that is not given.
  render =
    file: values:
    let
      names = builtins.attrNames values;
      text = builtins.replaceStrings (map (name: "{{ ${name} }}") names) (map (
        name: toString values.${name}
      ) names) (common (builtins.readFile file));
    in
    if lib.hasInfix "{{" text || lib.hasInfix "{%" text then
      throw "${toString file} asks for more than ${toString names}: nix/module is older than the program"
    else
      text;

  settings = builtins.mapAttrs (_: fact: fact // { type = typeOf fact.type; }) facts.settings;

  isDefault = name: name == instances.default;
  named = name: builtins.mapAttrs (_: builtins.replaceStrings [ instances.placeholder ] [ name ]);

  # What a setting is for the builder `name` where nobody says anything.
  defaultsOf =
    name:
    let
      sum = import ./crc32.nix name;
      pair = sum - sum / instances.port_pairs * instances.port_pairs;
      port = instances.first_port + 2 * pair;
      own = named name instances.defaults // {
        inherit port;
        private_port = port + 1;
      };
    in
    builtins.mapAttrs (_: fact: fact.default) facts.settings
    // (if isDefault name then { } else own // { instance = name; });

  builder =
    name: cfg:
    let
      defaults = defaultsOf name;
    in
    rec {
      inherit name cfg;
      names = if isDefault name then facts.names else named name instances.names;
      # Where its options are.
      all = "services.darling-builder" + (if isDefault name then "" else ".instances.${name}");
      option = option: "${all}.${option}";
      # What a setting is in the end.
      setting = key: if cfg.settings.${key} != null then cfg.settings.${key} else defaults.${key};
      inherit (cfg.settings) state;
      # How Nix is led to the line that the service writes.
      included = "@${state}/${facts.our_machines}";
      ownUser = setting "user" == defaults.user;
      # The words by which the program is told which builder is meant.
      whose = if isDefault name then "" else " --instance ${name}";
    };

  isName = name: !(isDefault name) && builtins.match instances.pattern name != null;
in
{
  inherit
    builder
    defaultsOf
    facts
    isDefault
    settings
    ;

  # Every builder of the machine that is enabled; the one without a name comes first.
  enabled =
    cfg:
    builtins.filter (one: one.cfg.enable) (
      [ (builder instances.default cfg) ]
      ++ map (name: builder name cfg.instances.${name}) (
        builtins.filter isName (builtins.attrNames cfg.instances)
      )
    );

  # The setuid launcher of a builder: the one of all, but for those with a Darling of their own.
  wrapperOf =
    top: one: if one.cfg.package == top.package then "darling" else "darling-${one.name}";

  misnamed = cfg: builtins.filter (name: !(isName name)) (builtins.attrNames cfg.instances);

  sshAlias =
    one: values:
    let
      text = render ../../darlingbuilder/templates/ssh_alias.j2 (
        {
          inherit (one.names) alias out_of_service;
        }
        // values
      );
    in
    builtins.replaceStrings [ "darlingbuilder status" ] [ "darlingbuilder${one.whose} status" ] text;
}
