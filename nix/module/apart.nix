# What two builders of a machine cannot share, as darlingbuilder/core/apart.py has it: an assertion for each thing that they would.
{ lib }:
builders:

let
  inherit (builtins) concatMap filter;

  # A directory of its own, or where one sets it.
  within = path: outer: path == outer || lib.hasPrefix "${outer}/" path;
  overlap = one: other: within one other || within other one;

  said = option: value: { inherit option value; };
  # A prefix of which nobody says anything lies in the other directory.
  places =
    one:
    [ (said (one.option "prefixPath") one.state) ]
    ++ lib.optional (one.setting "prefix" != "") (
      said (one.option "settings.prefix") (dirOf (one.setting "prefix"))
    );
  keys = one: [ (said (one.option "sshKeyPath") one.cfg.settings.key) ];
  users = one: [ (said (one.option "settings.user") (one.setting "user")) ];
  ports =
    one:
    [ (said (one.option "port") one.cfg.settings.port) ]
    ++ lib.optional (one.setting "on_demand") (
      said (one.option "settings.private_port") (one.setting "private_port")
    );
  textfiles =
    one:
    filter (file: file.value != "") [
      (said (one.option "settings.metrics_textfile") (one.setting "metrics_textfile"))
    ];

  # Everything in which two builders would meet: what each has of a kind, when that is the same, and the remedy.
  kinds = [
    {
      ours = places;
      theirs = places;
      same = overlap;
      remedy = "Each needs directories of its own: leave it out, or choose another.";
    }
    {
      ours = keys;
      theirs = one: keys one ++ places one;
      same = within;
      remedy = "Each replaces and removes its own key: leave it out, or choose another file name.";
    }
    {
      ours = places;
      theirs = keys;
      same = place: key: within key place;
      remedy = "The key of the one would be in the hands of the other: choose another.";
    }
    {
      ours = users;
      theirs = users;
      same = user: other: user == other;
      remedy = "Each could read and kill the other: leave it out, which makes a system user; or name another.";
    }
    {
      ours = ports;
      theirs = ports;
      same = port: other: port == other;
      remedy = "Choose another port.";
    }
    {
      ours = textfiles;
      theirs = textfiles;
      same = file: other: file == other;
      remedy = "Choose another file name in the same directory: node_exporter reads all of them.";
    }
  ];

  # An assertion that fails for each.
  meetings =
    ours: theirs: kind:
    concatMap (
      one:
      map (other: {
        assertion = false;
        message = ''
          ${one.option} is ${toString one.value}, and ${other.option} is ${toString other.value}.
          ${kind.remedy}
        '';
      }) (filter (other: kind.same one.value other.value) (kind.theirs theirs))
    ) (kind.ours ours);

  # Each with those before it.
  pairs =
    list:
    if list == [ ] then
      [ ]
    else
      map (other: {
        ours = other;
        theirs = builtins.head list;
      }) (builtins.tail list)
      ++ pairs (builtins.tail list);
in
concatMap (pair: concatMap (meetings pair.ours pair.theirs) kinds) (pairs builders)
