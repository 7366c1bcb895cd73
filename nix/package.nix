# darlingbuilder as a Nix package: callPackage ./package.nix { }.
# Darling itself is not in nixpkgs any more; the launcher is found on PATH, in /run/wrappers/bin, or by the setting
# «darling».
{
  lib,
  python3Packages,
  e2fsprogs,
  gnutar,
  openssh,
  shadow,
  systemd,
  util-linux,
  zstd,
  installShellFiles,
  zig,
}:

python3Packages.buildPythonApplication {
  pname = "darlingbuilder";
  version = lib.removeSuffix "\"\n" (
    lib.last (lib.splitString "__version__ = \"" (builtins.readFile ../darlingbuilder/__init__.py))
  );
  pyproject = true;
  src = lib.cleanSource ../.;

  build-system = [ python3Packages.hatchling ];
  dependencies = with python3Packages; [
    cryptography
    jinja2
    msgspec
    plumbum
    prometheus-client
    pystemd
    rich
    shtab
    structlog
  ];

  nativeBuildInputs = [ installShellFiles ];

  # What runs in the guest is built by zig's C compiler; with this set, hatch_build.py asks for no ziglang of PyPI's.
  # Not in nativeBuildInputs: zig's setup hook would take the build over.
  env.DARLINGBUILDER_ZIG = lib.getExe zig;
  postInstall = ''
    $out/bin/darlingbuilder man > darlingbuilder.1
    $out/bin/darlingbuilder man darlingbuilder.toml > darlingbuilder.toml.5
    installManPage darlingbuilder.1 darlingbuilder.toml.5
    for shell in bash zsh fish; do
      $out/bin/darlingbuilder completion $shell > darlingbuilder.$shell
    done
    installShellCompletion darlingbuilder.{bash,zsh,fish}
  '';
  # The machine's own tools first: its ssh is the one that its nix-daemon uses.
  makeWrapperArgs = [
    "--suffix PATH : ${
      lib.makeBinPath [
        openssh
        shadow
        systemd
        # For snapshots, and for store_size.
        e2fsprogs
        gnutar
        util-linux
        zstd
      ]
    }"
  ];

  # Of tests/, which pyproject.toml names: what finds a program neither here nor in stdenv is skipped, for each says so.
  nativeCheckInputs = [
    util-linux
  ]
  ++ (with python3Packages; [
    hatchling
    hypothesis
    jsonschema
    lief
    pytestCheckHook
  ]);

  meta = {
    description = "Turn a Linux machine into its own x86_64-darwin Nix builder, with Darling";
    license = lib.licenses.mit;
    mainProgram = "darlingbuilder";
    platforms = [ "x86_64-linux" ];
  };
}
