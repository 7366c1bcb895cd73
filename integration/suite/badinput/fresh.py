"""Bad input on a machine without a builder."""

from dataclasses import replace

from integration.suite import breakage
from integration.suite.badinput.case import CONFIGURATION, FAILED, NO_BUS, NO_PYSTEMD, PREREQUISITE, USAGE, Bad
from integration.suite.breakage import Break
from integration.suite.site import CONFIG, PREFIX, STATE

LAUNCHER = "/usr/local/bin/darling"


def usage(what: str, command: str, *says: str) -> Bad:
    return Bad(what, USAGE, says, command)


def setting(what: str, flags: str, *says: str) -> Bad:
    return Bad(what, CONFIGURATION, says, f"init {flags}".rstrip())


def file(what: str, text: str | bytes, *says: str, command: str = "init") -> Bad:
    return Bad(what, CONFIGURATION, (CONFIG, *says), command, breakage.content(CONFIG, text))


def variable(what: str, name: str, value: str, *says: str) -> Bad:
    return Bad(what, CONFIGURATION, says, env={f"DARLINGBUILDER_{name}": value})


def lacking(what: str, broken: Break, *says: str, flags: str = "") -> Bad:
    return Bad(what, PREREQUISITE, says, f"init {flags}".rstrip(), broken)


def unprivileged(verb: str) -> Bad:
    return Bad(f"{verb} by an ordinary user", PREREQUISITE, (f"{verb} needs root", "sudo"), verb, user="nobody")


def without_builder(verb: str) -> Bad:
    return Bad(f"{verb} without a builder", FAILED, ("there is no builder in", "darlingbuilder init"), verb)


TABLE = (
    usage("an unknown verb", "initialise", "'initialise'", "--help"),
    usage("no verb", "", "VERB"),
    usage("an unknown flag", "init --colour red", "--colour"),
    usage("a flag without its value", "init --port", "--port"),
    usage("a time that is none", "test --timeout soon", "'soon'"),
    usage("an argument too many", "status all", "all"),
    # Settings.
    file("an unknown key", "prot = 2222\n", "unknown setting 'prot'", "did you mean 'port'"),
    file("an unknown key of a table", "[nix]\ncolour = 1\n", "'nix.colour'", "config show", command="status"),
    file("text for a number", "port = '2222'\n", "port = '2222'", "a whole number from 1024 to 65535"),
    file("a broken file", "port 2222\n", "not TOML", "toml.io", command="doctor"),
    file("a binary file", b"\x7fELF\xff\xfe\0\0", "not UTF-8", command="config show"),
    file("a tarball that is named from nowhere", "[nix]\ntarball = 'nix.tar.xz'\n", "nix.tarball"),
    Bad("a directory as settings", CONFIGURATION, (CONFIG, "Is a directory"), broken=breakage.directory(CONFIG)),
    setting("a settings file that is missing", "--config /nowhere.toml", "/nowhere.toml", "--config"),
    variable("a settings file of the environment that is missing", "CONFIG", "/nowhere.toml", "/nowhere.toml"),
    variable("an unknown variable", "PROT", "1", "DARLINGBUILDER_PROT", "did you mean 'DARLINGBUILDER_PORT'"),
    variable("a variable that is no number", "PORT", "ssh", "environment: port = 'ssh'"),
    setting("a port that is root's", "--port 22", "flag: port = '22'", "from 1024 to 65535"),
    setting("a port that is none", "--port 65536", "65536"),
    setting("a prefix that is too long", f"--prefix /srv/{'p' * 80}", "bytes", "78", "shorter"),
    setting("a prefix with a comma", "--prefix /srv/a,b/prefix", "contains ,", "without a comma"),
    setting("a prefix in the host's store", "--prefix /nix/a/prefix", "/nix/a/prefix"),
    setting("a state that others share", "--state /var/lib", "/var/lib", "serve nothing else"),
    setting("a key that the guest could read", f"--key {PREFIX}/key", "belongs to the guest's user"),
    setting("root as the user", "--user root", "owns the host"),
    setting("a build user as the user", "--user nixbld1", "kills every process"),
    setting("two sources of Nix", "--nix-version 2.31.2", "nix.tarball and nix.version are both set"),
    setting("an unknown version of Nix", "--nix-tarball= --nix-sha256= --nix-version 9.9", "9.9", "known are 2."),
    setting("a tarball without its hash", "--nix-sha256=", "without nix.sha256", "sha256sum"),
    setting("a store path that is none", "--nix-tarball= --nix-sha256= --nix-package /usr/bin/nix", "nix.package"),
    # Prerequisites.
    unprivileged("init"),
    unprivileged("status"),
    unprivileged("uninstall"),
    lacking("no launcher", breakage.absent(LAUNCHER), "darling: no launcher there", "install Darling"),
    lacking(
        "no launcher at its place", breakage.nothing, "/opt/darling: no launcher", flags="--darling /opt/darling"
    ),
    lacking(
        "a launcher that is not setuid",
        breakage.commands(f"chmod u-s {LAUNCHER}", f"chmod u+s {LAUNCHER}"),
        "is not setuid root",
        f"chmod 4755 {LAUNCHER}",
    ),
    lacking(
        "a launcher on a disk without setuid",
        breakage.commands(f"cp -p {LAUNCHER} /tmp/darling", "rm /tmp/darling"),
        "mounted nosuid",
        flags="--darling /tmp/darling",
    ),
    lacking("a launcher that is no program", breakage.nothing, "cannot be executed", flags="--darling /etc/passwd"),
    lacking("no Nix", breakage.absent("/usr/bin/nix", "/usr/bin/nix-store"), "the host has no Nix", "install Nix"),
    lacking(
        "a Nix that is too old",
        breakage.program("/usr/bin/nix-store", "echo 'nix-store (Nix) 2.3.16'"),
        "2.3.16 is older than 2.8",
        "upgrade it",
    ),
    lacking(
        "a Nix that does not start",
        breakage.program("/usr/bin/nix-store", "echo 'cannot open shared object' >&2; exit 127"),
        "cannot open shared object",
    ),
    lacking("no ssh-keyscan", breakage.absent("/usr/bin/ssh-keyscan"), "ssh-keyscan", "apt install openssh-client"),
    lacking("no pystemd", NO_PYSTEMD, "pystemd cannot be imported", "libsystemd-dev"),
    replace(lacking("a bus that cannot be reached", breakage.nothing, "D-Bus", "is-system-running"), env=NO_BUS),
    lacking(
        "a prefix on an overlay", breakage.nothing, "is on overlay", "ext4", flags="--prefix /srv/d/guest/prefix"
    ),
    lacking(
        "a disk that is full",
        breakage.mounted("/var/lib/small", "-o", "size=64m"),
        "GiB free at /var/lib/small",
        "make room",
        flags="--state /var/lib/small/state",
    ),
    lacking(
        "a disk that is read-only",
        breakage.mounted("/var/lib/read-only", "-o", "ro"),
        "mounted ro",
        flags="--state /var/lib/read-only/state",
    ),
    lacking(
        "a disk from which nothing can be run",
        breakage.mounted("/var/lib/noexec", "-o", "noexec"),
        "mounted noexec",
        flags="--state /var/lib/noexec/state",
    ),
    lacking(
        "a directory that the guest's user cannot enter",
        breakage.commands("mkdir -m 700 /var/lib/closed", "rmdir /var/lib/closed"),
        "/var/lib/closed (mode 0700)",
        "chmod o+x",
        flags="--state /var/lib/closed/state",
    ),
    lacking("a stranger on the port", breakage.listening(2222), "2222 is held by python3", "another «port»"),
    lacking(
        "a user who is root by another name",
        breakage.edited("/etc/passwd", lambda text: text + b"toor:x:0:0::/root:/bin/sh\n"),
        "toor has uid 0",
        flags="--user toor",
    ),
    # Nothing there, or something of somebody else's.
    *map(without_builder, ("start", "stop", "restart", "serve", "test", "shell true")),
    Bad(
        "a foreign directory as prefix", FAILED, (f"{PREFIX} exists", "no marker"), broken=breakage.directory(PREFIX)
    ),
    Bad("a foreign file as prefix", FAILED, (PREFIX, "no marker"), broken=breakage.content(PREFIX, "precious\n")),
    Bad("a foreign directory of Nix", FAILED, (f"{STATE}/nix exists",), broken=breakage.directory(f"{STATE}/nix")),
    Bad(
        "a prefix beside what others keep",
        FAILED,
        ("/srv/disk holds precious", "a directory of its own below it"),
        "init --prefix /srv/disk/darling",
        breakage.directory("/srv/disk"),
    ),
    Bad(
        "a home as state",
        FAILED,
        ("/srv/alice holds precious", "a directory of its own below it"),
        "init --state /srv/alice",
        breakage.commands(
            "mkdir /srv/alice; touch /srv/alice/precious; chown nobody /srv/alice",
            "test $(stat -c %U /srv/alice) = nobody; rm /srv/alice/precious; rmdir /srv/alice",
        ),
    ),
    Bad("a foreign file as state", FAILED, (STATE, "move it away"), broken=breakage.content(STATE, "precious\n")),
    Bad("a state that leads nowhere", FAILED, (STATE, "move it away"), broken=breakage.link(STATE, "/nowhere")),
)
