/* The launcher: finds or boots the container of $DPREFIX and runs one command in it. Setuid root. */

#define _GNU_SOURCE
#include "common.h"
#include "prefix.h"
#include "terminal.h"

#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CONNECT_SECONDS 15
#define POLL_MICROSECONDS 10000
#define ZOMBIE_SECONDS 1

extern char **environ;

/* Where the kernel reads our command line from. */
static char *command_line;
static size_t command_line_length;

static char *beside_me(const char *relative)
{
	char path[PATH_MAX + 1] = "";
	if (readlink("/proc/self/exe", path, PATH_MAX) < 0)
		die("/proc/self/exe");
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	return join(path, relative);
}

static int usage(int status)
{
	fputs("This is the stand-in for Darling, test equipment of darlingbuilder.\n\n"
	      "Usage:\n"
	      "\tdarling <program-path> [arguments...]\n"
	      "\tdarling shell [arguments...]\n"
	      "\tdarling exec <program-path> [arguments...]\n"
	      "\tdarling shutdown\n\n"
	      "Environment variables:\n"
	      "DPREFIX - specifies the location of Darling prefix, defaults to ~/.darling\n",
	      stderr);
	return status;
}

static int version(void)
{
	fputs("darling stand-in of darlingbuilder @ test\n", stderr);
	return 0;
}

static char *default_prefix(void)
{
	const char *home = getenv("HOME");
	if (!home) {
		fputs("Cannot detect your home directory!\n", stderr);
		exit(1);
	}
	return join(home, "/.darling");
}

/* Waits until the socket shows in the prefix. Like the real one it looks from outside, and says nothing when
   the time is over: the connection that follows fails. */
static void await_shellspawn(const char *prefix)
{
	const char *socket_path = join(prefix, SHELLSPAWN_SOCKET);
	for (int i = 0; i < CONNECT_SECONDS * 1000000 / POLL_MICROSECONDS; i++) {
		if (access(socket_path, F_OK) == 0)
			return;
		usleep(POLL_MICROSECONDS);
	}
}

/* Leaves the dead server a zombie for a moment: a real one takes a second or more to be reaped, and the calls of
   that second fail. Holds no descriptor and bears a name of its own, not the launcher's. */
_Noreturn static void let_it_rot(pid_t server)
{
	siginfo_t gone;
	close_range(0, ~0U, 0);
	prctl(PR_SET_NAME, "reaper");
	memset(command_line, 0, command_line_length);
	waitid(P_PID, (id_t)server, &gone, WEXITED | WNOWAIT);
	sleep(ZOMBIE_SECONDS);
	_exit(0);
}

/* Starts the server, as the child of a process that does not reap it at once. */
static pid_t spawn_server(const char *prefix, uid_t uid, gid_t gid, bool fresh)
{
	int ready[2], born[2];
	if (pipe(ready) < 0 || pipe2(born, O_CLOEXEC) < 0)
		die("pipe");
	if (fork() == 0) {
		pid_t server = fork();
		if (server == 0) {
			close(ready[0]);
			char *ids[3] = {0};
			if (asprintf(&ids[0], "%u", uid) < 0 || asprintf(&ids[1], "%u", gid) < 0 ||
			    asprintf(&ids[2], "%d", ready[1]) < 0)
				die("asprintf");
			execl(beside_me("/bin/darlingserver"), "darlingserver", prefix, ids[0], ids[1], ids[2],
			      fresh ? "1" : "0", (char *)NULL);
			die("Failed to start darlingserver");
		}
		if (write(born[1], &server, sizeof server) != sizeof server ||
		    setresgid(gid, gid, gid) || setresuid(uid, uid, uid) || chdir("/") < 0)
			_exit(1);
		let_it_rot(server);
	}
	close(born[1]);
	pid_t server;
	char go;
	close(ready[1]);
	if (read_exactly(born[0], &server, sizeof server) < 0)
		die("Cannot fork");
	(void)!read(ready[0], &go, 1);
	close(ready[0]);
	close(born[0]);
	return server;
}

static pid_t boot(const char *prefix, uid_t uid, gid_t gid, bool fresh)
{
	unlink(join(prefix, SHELLSPAWN_SOCKET));
	make_workdir(prefix);
	pid_t server = spawn_server(prefix, uid, gid, fresh);
	write_server_pid(prefix, server, uid, gid);
	await_shellspawn(prefix);
	return server;
}

static void join_mounts(pid_t server)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/mnt", server);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("Cannot open mnt namespace file");
	if (setns(fd, CLONE_NEWNS) < 0)
		die("Cannot join mnt namespace");
	close(fd);
}

static int connect_to_shellspawn(const char *prefix)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = join(prefix, SHELLSPAWN_SOCKET);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		fprintf(stderr, "Error connecting to shellspawn in the container (%s): %s\n", path, strerror(errno));
		exit(1);
	}
	return fd;
}

static void add(FILE *body, const char *text)
{
	fwrite(text, 1, strlen(text) + 1, body);
}

static char *quoted(char **words)
{
	char *line;
	size_t length;
	FILE *out = open_memstream(&line, &length);
	for (char **word = words; *word; word++) {
		fputs(word == words ? "'" : " '", out);
		for (const char *c = *word; *c; c++)
			*c == '\'' ? fputs("'\\''", out) : fputc(*c, out);
		fputc('\'', out);
	}
	fclose(out);
	return line;
}

static bool is_set_by_us(const char *variable)
{
	return !strncmp(variable, "PATH=", 5) || !strncmp(variable, "TMPDIR=", 7) || !strncmp(variable, "HOME=", 5);
}

/* The caller's whole environment leaks in, but for the three variables that are set here. */
static void add_environment(FILE *body)
{
	struct passwd *user = getpwuid(geteuid());
	if (!user) {
		fputs("Cannot determine your user name\n", stderr);
		exit(1);
	}
	add(body, "PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin");
	add(body, "TMPDIR=/private/tmp");
	add(body, join("HOME=/Users/", user->pw_name));
	for (char **variable = environ; *variable; variable++)
		if (!is_set_by_us(*variable))
			add(body, *variable);
}

static void send_request(int connection, struct request head, const char *body, const int fds[3])
{
	union {
		char space[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr aligned;
	} control = {0};
	struct iovec part = {.iov_base = &head, .iov_len = sizeof head};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space,
	                         .msg_controllen = sizeof control.space};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(3 * sizeof(int));
	memcpy(CMSG_DATA(rights), fds, 3 * sizeof(int));
	if (sendmsg(connection, &message, 0) != sizeof head || write_exactly(connection, body, head.length) < 0)
		die("Error sending command to shellspawn");
}

/* Runs a command in the guest and ends as it ends. `words` may be empty: then an interactive shell. */
static int run(const char *prefix, const char *directory, char **words, bool plain)
{
	int connection = connect_to_shellspawn(prefix);
	struct request head = {.plain = plain};
	char *body;
	size_t length;
	FILE *out = open_memstream(&body, &length);
	add(out, join(SYSTEM_ROOT, directory));
	if (plain) {
		for (; *words; words++, head.arguments++)
			add(out, *words);
	} else if (*words) {
		add(out, "-c");
		add(out, quoted(words));
		head.arguments = 2;
	}
	add_environment(out);
	fclose(out);
	head.length = (uint32_t)length;

	struct terminal terminal = open_terminal();
	send_request(connection, head, body, terminal.guest);
	return follow(connection, &terminal);
}

static int run_host_program(const char *prefix, const char *directory, char **words, bool plain)
{
	char *path = realpath(words[0], NULL);
	if (!path) {
		printf("'%s' is not a supported command or a file.\n", words[0]);
		return 1;
	}
	words[0] = join(SYSTEM_ROOT, path);
	return run(prefix, directory, words, plain);
}

static int shut_down(pid_t server)
{
	if (!server) {
		fputs("Darling container is not running\n", stderr);
		return 1;
	}
	pid_t init = child_of(server);
	if (!init) {
		fputs("Failed to shutdown Darling container\n", stderr);
		return 1;
	}
	kill(init, SIGKILL);
	kill(server, SIGKILL);
	return 0;
}

/* Options are looked at only after the prefix was set up, and an unknown one is a word like any other: so does
   the real launcher, and `--prefix` fails there for that reason. */
static void obey_option(const char *word)
{
	if (!strcmp(word, "--help"))
		exit(usage(0));
	if (!strcmp(word, "--version"))
		exit(version());
	if (word[0] == '-' && word[1])
		fprintf(stderr, "darling: unrecognized option '%s'\n", word);
}

static char *chosen_prefix(void)
{
	char *prefix = getenv("DPREFIX") ? strdup(getenv("DPREFIX")) : default_prefix();
	if (strlen(prefix) > 255) {
		fputs("Prefix path too long\n", stderr);
		exit(1);
	}
	unsetenv("DPREFIX");
	return prefix;
}

static int obey(char **words, const char *prefix, pid_t server, uid_t uid)
{
	char directory[PATH_MAX] = "";
	/* before the namespace is entered: there it may name something else */
	if (!getcwd(directory, sizeof directory))
		*directory = '\0';
	join_mounts(server);
	if (seteuid(uid) < 0)
		die("seteuid");
	if (!strcmp(*words, "shell"))
		return run(prefix, directory, words + 1, false);
	if (strcmp(*words, "exec") != 0)
		return run_host_program(prefix, directory, words, false);
	if (words[1])
		return run_host_program(prefix, directory, words + 1, true);
	puts("'exec' subcommand requires a binary to execute.");
	return 1;
}

int main(int argc, char **argv)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	if (argc < 2)
		return usage(1);
	command_line = argv[0];
	command_line_length = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
	if (geteuid() != 0) {
		fputs("Sorry, the `darling' binary is not setuid root, which is mandatory.\n", stderr);
		return 1;
	}
	if (setgid(0) < 0 || setuid(0) < 0)
		die("setuid");

	char *prefix = chosen_prefix();
	bool fresh = make_prefix(prefix, uid, gid);
	check_owner(prefix, uid);
	obey_option(argv[1]);
	pid_t server = server_pid(prefix, uid, gid);
	if (!strcmp(argv[1], "shutdown"))
		return shut_down(server);
	return obey(argv + 1, prefix, server ? server : boot(prefix, uid, gid, fresh), uid);
}
