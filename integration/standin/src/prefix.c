#define _GNU_SOURCE
#include "common.h"
#include "prefix.h"

#include <dirent.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>

static const char *const directories[] = {
	"", "/Volumes", "/Applications", "/usr", "/usr/local", "/usr/local/share", "/private", "/private/var",
	"/private/var/log", "/private/var/db", "/private/etc", "/var", "/var/run", "/var/tmp", "/var/log",
};

static void become(uid_t uid, gid_t gid)
{
	/* back to root first: only root may change to another user */
	if (seteuid(0) || setegid(gid) || seteuid(uid))
		die("seteuid");
}

static void make_directory(const char *path)
{
	struct stat found;
	if (stat(path, &found) == 0) {
		if (S_ISDIR(found.st_mode))
			return;
		fprintf(stderr, "%s already exists and is a file. Remove the file.\n", path);
		exit(1);
	}
	if (mkdir(path, 0755) < 0) {
		fprintf(stderr, "Cannot create %s: %s\n", path, strerror(errno));
		exit(1);
	}
}

static FILE *new_file(const char *prefix, const char *name)
{
	FILE *file = fopen(join(prefix, name), "w");
	if (!file) {
		fprintf(stderr, "Failed to open %s within the prefix\n", name);
		exit(1);
	}
	return file;
}

static void write_accounts(const char *prefix, uid_t uid)
{
	struct passwd *user = getpwuid(uid);
	if (!user) {
		fputs("Failed to find Linux /etc/passwd entry for current user\n", stderr);
		exit(1);
	}
	const char *name = user->pw_name;
	unsigned gid = user->pw_gid;

	FILE *file = new_file(prefix, "/private/etc/passwd");
	fprintf(file, "root:*:0:0:System Administrator:/var/root:/bin/sh\n");
	fprintf(file, "%s:*:%u:%u:Darling User:/Users/%s:/bin/bash\n", name, uid, gid, name);
	fclose(file);
	file = new_file(prefix, "/private/etc/master.passwd");
	fprintf(file, "root:*:0:0::0:0:System Administrator:/var/root:/bin/sh\n");
	fprintf(file, "%s:*:%u:%u::0:0:Darling User:/Users/%s:/bin/bash\n", name, uid, gid, name);
	fclose(file);
	file = new_file(prefix, "/private/etc/group");
	fprintf(file, "wheel:*:0:root,%s\n%s:*:%u:%s\n", name, name, gid, name);
	fclose(file);
}

bool make_prefix(const char *prefix, uid_t uid, gid_t gid)
{
	struct stat found;
	if (stat(prefix, &found) == 0) {
		if (S_ISDIR(found.st_mode))
			return false;
		fprintf(stderr, "%s is a file. Remove the file.\n", prefix);
		exit(1);
	}
	if (errno != ENOENT) {
		fprintf(stderr, "Cannot access %s: %s\n", prefix, strerror(errno));
		exit(1);
	}
	fprintf(stderr, "Setting up a new Darling prefix at %s\n", prefix);
	become(uid, gid);
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
		make_directory(join(prefix, directories[i]));
	write_accounts(prefix, uid);
	become(0, 0);
	return true;
}

void check_owner(const char *prefix, uid_t uid)
{
	struct stat found;
	if (stat(prefix, &found) == 0 ? uid == 0 || found.st_uid == uid : errno != EACCES)
		return;
	fputs("You do not own the prefix directory.\n", stderr);
	exit(1);
}

void make_workdir(const char *prefix)
{
	char *path = strdup(prefix);
	for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--)
		path[end - 1] = '\0';
	make_directory(join(path, ".workdir"));
}

void write_server_pid(const char *prefix, pid_t server, uid_t uid, gid_t gid)
{
	become(uid, gid);
	FILE *file = fopen(join(prefix, "/.init.pid"), "w");
	if (file) {
		fprintf(file, "%d", server);
		fclose(file);
	} else {
		fprintf(stderr, "Cannot write out PID of the init process: %s\n", strerror(errno));
	}
	become(0, 0);
}

static bool is_server(pid_t pid)
{
	char path[64], name[32] = "";
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return false;
	(void)!fscanf(file, "%31s", name);
	fclose(file);
	return !strcmp(name, "darlingserver");
}

/* A line of /proc/PID/status that begins with `key`: its four numbers are all `wanted`. */
static bool status_is(pid_t pid, const char *key, unsigned wanted)
{
	char path[64], line[256];
	unsigned id[4] = {0};
	bool same = false;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (!strncmp(line, key, strlen(key)) &&
		    sscanf(line + strlen(key), "%u %u %u %u", id, id + 1, id + 2, id + 3) == 4)
			same = id[0] == wanted && id[1] == wanted && id[2] == wanted && id[3] == wanted;
	if (file)
		fclose(file);
	return same;
}

pid_t server_pid(const char *prefix, uid_t uid, gid_t gid)
{
	const char *path = join(prefix, "/.init.pid");
	int pid = 0;
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	(void)!fscanf(file, "%d", &pid);
	fclose(file);
	if (pid > 0 && kill(pid, 0) == 0 && is_server(pid) &&
	    (uid == 0 || (status_is(pid, "Uid:", uid) && status_is(pid, "Gid:", gid))))
		return pid;
	unlink(path);
	return 0;
}

pid_t child_of(pid_t parent)
{
	DIR *proc = opendir("/proc");
	pid_t child = 0;
	for (struct dirent *entry; proc && !child && (entry = readdir(proc));) {
		char path[300];
		int pid, above;
		if ((pid = atoi(entry->d_name)) <= 0)
			continue;
		snprintf(path, sizeof path, "/proc/%d/stat", pid);
		FILE *file = fopen(path, "r");
		/* the server's child is our own guest's init: its name holds no blank and no bracket */
		if (file && fscanf(file, "%*d %*s %*c %d", &above) == 1 && above == parent)
			child = pid;
		if (file)
			fclose(file);
	}
	if (proc)
		closedir(proc);
	return child;
}
