# A NixOS that is switched to the module, in a virtual machine: all of it with a Darling, and without one what the
# machine says of that. A Darling needs its Nix, too: the path of a release tarball for x86_64-darwin, and its hash.
{
  pkgs,
  darling ? null,
  tarball ? null,
  sha256 ? null,
}:

let
  # Only the builder with that feature is asked.
  waiting = pkgs.writeText "waiting.nix" ''
    derivation {
      name = "waiting";
      system = "x86_64-darwin";
      builder = "/bin/sh";
      args = [ "-c" "echo built > $out" ];
      requiredSystemFeatures = [ "waiting" ];
    }
  '';
in
pkgs.testers.runNixOSTest {
  name = "darlingbuilder";

  nodes.machine =
    { lib, ... }:
    {
      imports = [ ../module.nix ];
      virtualisation = {
        memorySize = 4096;
        diskSize = 16384;
        cores = 4;
      };
      services.darling-builder = {
        enable = true;
        toolPackage = pkgs.callPackage ../package.nix { };
        package = darling;
        maxJobs = 2;
        shareStore = false;
        limits.grace = 5;
        settings.nix = lib.mkIf (tarball != null) { inherit tarball sha256; };

        # One that runs as well, and one that the first connection starts.
        instances.second = {
          maxJobs = 1;
          shareStore = false;
          settings.nix = lib.mkIf (tarball != null) { inherit tarball sha256; };
        };
        instances.waiting = {
          onDemand = true;
          shareStore = false;
          supportedFeatures = [ "waiting" ];
          settings.nix = lib.mkIf (tarball != null) { inherit tarball sha256; };
        };
      };
    };

  testScript = ''
    machine.wait_for_unit("sockets.target")
    machine.wait_for_unit("nix-daemon.socket")

    with subtest("the program reads what the module has written"):
        machine.succeed("darlingbuilder config show | grep '^max_jobs .* 2 .*/etc/darlingbuilder/config.toml'")
        machine.succeed("darlingbuilder --instance second config show | grep '^max_jobs .* 1 .*/instances/second.toml'")
        machine.succeed("man -w darlingbuilder")

    with subtest("ssh and Nix know the builder"):
        machine.succeed("ssh -G darling-builder | grep -x 'port 2222'")
        machine.succeed("ssh -G darling-builder | grep -x 'controlmaster false'")
        machine.succeed("ssh -G darling-builder-second | grep -x 'user darlingbuilder-second'")
        machine.succeed("ssh -G elsewhere | grep -x 'port 22'")
        machine.succeed("nix --extra-experimental-features nix-command config show builders | grep ';@/var/lib/darling-builder/machines'")

    with subtest("the users are there"):
        machine.succeed("id darlingbuilder darlingbuilder-second")

    with subtest("the unit is the shipped one"):
        machine.succeed("systemctl cat darling-builder.service | grep '^ExecStartPre=+/nix/store/'")
        machine.succeed("systemctl cat darling-builder@second.service | grep '^ExecStartPre=+.* --instance=second'")

    with subtest("the one on demand has its port, and does not run"):
        machine.wait_for_unit("darling-builder@waiting.socket")
        machine.fail("systemctl is-active darling-builder@waiting.service")
  ''
  + (
    if darling == null then
      ''
        with subtest("without a Darling the unit fails, and says what is missing"):
            machine.wait_until_succeeds("journalctl -u darling-builder.service | grep 'no launcher there'", timeout=120)
      ''
    else
      ''
        with subtest("the builder runs, and builds"):
            machine.wait_for_unit("darling-builder.service", timeout=1200)
            machine.succeed("darlingbuilder status")
            machine.succeed("darlingbuilder test")

        with subtest("so does the second"):
            machine.wait_for_unit("darling-builder@second.service", timeout=1200)
            machine.succeed("darlingbuilder --instance second test")

        with subtest("the first build that needs it starts the one on demand"):
            machine.wait_for_unit("darling-builder-init@waiting.service", timeout=1200)
            machine.fail("systemctl is-active darling-builder@waiting.service")
            machine.succeed("nix-build --max-jobs 0 ${waiting}")
            machine.succeed("systemctl is-active darling-builder@waiting.service")

        with subtest("it survives a restart of the machine"):
            machine.shutdown()
            machine.start()
            machine.wait_for_unit("darling-builder.service", timeout=1200)
            machine.succeed("darlingbuilder test")
      ''
  );
}
