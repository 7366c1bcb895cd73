# CRC-32 of a text of small letters, digits and hyphens, as zlib has it: the ports of a builder with a name follow from it.
text:
let
  inherit (builtins) bitAnd bitXor foldl' genList stringLength substring;

  codes = first: letters: genList (number: {
    name = substring number 1 letters;
    value = first + number;
  }) (stringLength letters);
  codeOf = builtins.listToAttrs (
    codes 97 "abcdefghijklmnopqrstuvwxyz" ++ codes 48 "0123456789" ++ codes 45 "-"
  );

  bit = sum: _: if bitAnd sum 1 == 1 then bitXor (sum / 2) 3988292384 else sum / 2;
  # What is no such letter is refused elsewhere, by its name, which must not fail here before.
  byte = sum: letter: foldl' bit (bitXor sum (codeOf.${letter} or 0)) (genList (_: null) 8);
  letters = genList (number: substring number 1 text) (stringLength text);
in
bitXor (foldl' byte 4294967295 letters) 4294967295
