/* The server: makes the container's mounts, starts its init, and lives as long as the container. */

#define _GNU_SOURCE
#include "common.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

/* The longest of the sockets in a prefix has 29 bytes: this is what bounds a prefix's path to 78. */
#define LAUNCHD_SOCKET "/var/run/launchd/private/sock"
#define SERVER_SOCKET "/.darlingserver.sock"

struct container {
	const char *prefix;
	uid_t uid;
	gid_t gid;
	bool fresh;
	int sockets[2]; /* launchd's and shellspawn's */
};

static void act_as_user(const struct container *c)
{
	if (setresgid(c->gid, c->gid, 0) || setresuid(c->uid, c->uid, 0))
		die("Failed to temporarily drop privileges");
}

static void act_as_root(void)
{
	if (seteuid(0) || setegid(0) || setresuid(0, 0, 0) || setresgid(0, 0, 0))
		die("Failed to regain root privileges");
}

static void stay_user(const struct container *c)
{
	if (setresgid(c->gid, c->gid, c->gid) || setresuid(c->uid, c->uid, c->uid))
		die("Failed to drop privileges");
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void make_home(const struct container *c)
{
	struct passwd *user = getpwuid(c->uid);
	const char *home = getenv("HOME");
	if (!user || !home) {
		fputs("Cannot determine your home directory\n", stderr);
		exit(1);
	}
	const char *guest_home = join(join(c->prefix, "/Users/"), user->pw_name);
	mkdir(join(c->prefix, "/Users"), 0777);
	mkdir(join(c->prefix, "/Users/Shared"), 0777);
	mkdir(guest_home, 0755);
	unlink(join(guest_home, "/LinuxHome"));
	(void)!symlink(join(SYSTEM_ROOT, home), join(guest_home, "/LinuxHome"));
}

static void mount_overlay(const struct container *c, const char *lower)
{
	char *options;
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
		die("Cannot unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		die("Cannot remount / as slave");
	if (asprintf(&options, "lowerdir=%s,upperdir=%s,workdir=%s.workdir,index=off", lower, c->prefix, c->prefix) < 0)
		die("asprintf");
	/* the real one has no such test, but its mount fails; ours would accept a colon in the upper layer */
	errno = EINVAL;
	if (strpbrk(c->prefix, ",:\\") || mount("overlay", c->prefix, "overlay", 0, options) < 0)
		die("Cannot mount overlay");
}

/* All directories of a new prefix become the user's, those of the lower layer by a copy up. */
static void give_directories(const char *path, const struct container *c)
{
	DIR *directory = opendir(path);
	if (chown(path, c->uid, c->gid) < 0)
		fprintf(stderr, "Cannot chown %s: %s\n", path, strerror(errno));
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		char *below = join(join(path, "/"), entry->d_name);
		give_directories(below, c);
		free(below);
	}
	if (directory)
		closedir(directory);
}

static void wipe(const char *path)
{
	DIR *directory = opendir(path);
	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		const char *below = join(join(path, "/"), entry->d_name);
		if (entry->d_type == DT_DIR) {
			wipe(below);
			rmdir(below);
		} else {
			unlink(below);
		}
	}
	if (directory)
		closedir(directory);
}

/* Binds a socket by its whole path, as the real ones do, or gives -1. */
static int bound(const char *prefix, const char *name, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = join(prefix, name);
	int fd = socket(AF_UNIX, type, 0);
	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
	} else {
		strcpy(address.sun_path, path);
		unlink(path);
		if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
		    (type == SOCK_DGRAM || listen(fd, 4096) == 0))
			return fd;
	}
	fprintf(stderr, "Cannot bind %s: %s\n", path, strerror(errno));
	close(fd);
	return -1;
}

/* shellspawn is one of launchd's jobs: without launchd's own socket it does not start. */
static void open_sockets(struct container *c)
{
	mkdir(join(c->prefix, "/var/run/launchd"), 0755);
	mkdir(join(c->prefix, "/var/run/launchd/private"), 0700);
	c->sockets[1] = -1;
	c->sockets[0] = bound(c->prefix, LAUNCHD_SOCKET, SOCK_STREAM);
	if (c->sockets[0] >= 0)
		c->sockets[1] = bound(c->prefix, SHELLSPAWN_SOCKET, SOCK_STREAM);
}

/* The guest's root directory is the merged tree, by chroot: it stays the same mount for both sides, so that what
   is mounted below the prefix from outside shows in the guest. */
_Noreturn static void become_init(struct container *c)
{
	char shellspawn[16];
	if (mount("proc", join(c->prefix, "/proc"), "proc", 0, "") < 0)
		die("Cannot mount procfs");
	snprintf(shellspawn, sizeof shellspawn, "%d", c->sockets[1]);
	if (chroot(c->prefix) < 0 || chdir("/") < 0)
		die("Cannot enter the prefix");
	stay_user(c);
	/* commands must not inherit that the server ignores it; as pid 1 init itself is safe from it */
	signal(SIGTERM, SIG_DFL);
	/* the server's death is the container's */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	execl("/sbin/launchd", "launchd", shellspawn, (char *)NULL);
	die("Failed to exec launchd");
}

static char *lower_layer(void)
{
	char path[PATH_MAX + 1] = "";
	if (readlink("/proc/self/exe", path, PATH_MAX) < 0)
		die("/proc/self/exe");
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	return join(path, "/libexec/darling");
}

static void set_up(struct container *c)
{
	act_as_user(c);
	make_home(c);
	act_as_root();
	mount_overlay(c, lower_layer());
	if (c->fresh)
		give_directories(c->prefix, c);
	if (mount("/", join(c->prefix, SYSTEM_ROOT), NULL, MS_BIND | MS_REC, NULL) < 0)
		die("Cannot mount " SYSTEM_ROOT);
	act_as_user(c);
	wipe(join(c->prefix, "/var/tmp"));
	wipe(join(c->prefix, "/var/run"));
	open_sockets(c);
	bound(c->prefix, SERVER_SOCKET, SOCK_DGRAM);
	act_as_root();
}

int main(int argc, char **argv)
{
	static const char noise[] = "Bootstrapping the container with launchd...\n";
	if (argc != 6 || getuid() != 0) {
		fputs("darlingserver is not meant to be started manually\n", stderr);
		return 1;
	}
	struct container c = {.prefix = argv[1], .uid = (uid_t)atol(argv[2]), .gid = (gid_t)atol(argv[3]),
	                      .fresh = argv[5][0] == '1'};
	int ready = atoi(argv[4]);
	if (setgid(0) < 0)
		die("setgid");
	/* a stop by systemd's SIGTERM to the whole control group must not end the container */
	signal(SIGTERM, SIG_IGN);
	set_up(&c);
	(void)!write(STDOUT_FILENO, noise, sizeof noise - 1);
	pid_t init = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (init < 0)
		die("Failed to fork to start launchd");
	if (init == 0) {
		close(ready);
		become_init(&c);
	}
	close(c.sockets[0]);
	close(c.sockets[1]);
	stay_user(&c);
	(void)!write(ready, ".", 1);
	close(ready);
	waitpid(init, NULL, 0);
	return 1;
}
