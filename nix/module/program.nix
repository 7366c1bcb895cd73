# The program as the module sees it: its facts, its settings' types, and its templates.
{ lib }:

let
  facts = lib.importJSON ../facts.json;

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

  # Fill in a template of the program's; it is an error if there is a name in it that is not given.
  render =
    file: values:
    let
      names = builtins.attrNames values;
      text = builtins.replaceStrings (map (name: "{{ ${name} }}") names) (map (
        name: toString values.${name}
      ) names) (builtins.readFile file);
    in
    if lib.hasInfix "{{" text || lib.hasInfix "{%" text then
      throw "${toString file} asks for more than ${toString names}: nix/module is older than the program"
    else
      text;
in
{
  inherit facts;

  settings = builtins.mapAttrs (_: fact: fact // { type = typeOf fact.type; }) facts.settings;

  sshAlias =
    values:
    render ../../darlingbuilder/templates/ssh_alias.j2 (
      {
        inherit (facts) alias out_of_service;
      }
      // values
    );
}
