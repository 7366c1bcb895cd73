/* Preloaded into every guest process: what becomes of DYLD_INSERT_LIBRARIES when a process starts, and when it
   starts others.

   No Mach-O code runs here. What a dylib would do is concluded from what it interposes, for the compat shim of
   darlingbuilder alone: its correction `spawn` hides both variables and carries them on into whatever is
   executed, cleared environment or not. */

#define _GNU_SOURCE
#include "dyld.h"
#include "macho.h"

#include <alloca.h>
#include <dlfcn.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARIES "DYLD_INSERT_LIBRARIES"
#define LIST "DARLINGBUILDER_COMPAT"

static const char *const symbols[CORRECTIONS] = {
	"_getsockopt", "_proc_pidinfo", "_lchflags", "_sigaction", "_signal", "_execve", "_posix_spawn",
};
static const char *const names[CORRECTIONS] = {
	"getsockopt", "proc_pidinfo", "lchflags", "signals", "signals", "spawn", "spawn",
};

static bool started;
static unsigned corrections;

/* `NAME=value`, copied since sshd writes over the memory in which a process gets its environment. */
static char libraries[2 * PATH_MAX], list[256];
static const char *carried[3];

static int (*libc_execve)(const char *, char *const[], char *const[]);
static int (*libc_execvpe)(const char *, char *const[], char *const[]);
static int (*libc_spawn)(
	pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[]);
static int (*libc_spawnp)(
	pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[]);

static bool lists(const char *all, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = all; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == length && strncmp(at, name, length) == 0)
			return true;
	return false;
}

static unsigned interposed_by_all(const char *paths)
{
	unsigned found = 0;
	char path[PATH_MAX];
	for (const char *at = paths; *at; at += *at == ':') {
		size_t length = strcspn(at, ":");
		if (length < sizeof path) {
			memcpy(path, at, length);
			path[length] = 0;
			found |= interposed_by(path, symbols, CORRECTIONS);
		}
		at += length;
	}
	return found;
}

static bool copy_variable(char *into, size_t size, const char *name, const char *value)
{
	if (strlen(name) + 1 + strlen(value) >= size)
		return false;
	strcat(strcat(strcpy(into, name), "="), value);
	return true;
}

static void hide_and_carry(const char *inserted, const char *listed)
{
	size_t count = 0;
	if (!copy_variable(libraries, sizeof libraries, LIBRARIES, inserted))
		return;
	carried[count++] = libraries;
	if (listed && copy_variable(list, sizeof list, LIST, listed))
		carried[count++] = list;
	if (in_force(SPAWN_BY_EXECVE) && in_force(SPAWN_BY_POSIX_SPAWN)) {
		unsetenv(LIBRARIES);
		unsetenv(LIST);
	}
}

__attribute__((constructor)) static void start(void)
{
	if (started)
		return;
	started = true;
	libc_execve = dlsym(RTLD_NEXT, "execve");
	libc_execvpe = dlsym(RTLD_NEXT, "execvpe");
	libc_spawn = dlsym(RTLD_NEXT, "posix_spawn");
	libc_spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
	const char *inserted = getenv(LIBRARIES), *listed = getenv(LIST);
	if (!inserted)
		return;
	corrections = interposed_by_all(inserted);
	for (unsigned i = 0; listed && i < CORRECTIONS; i++)
		if (!lists(listed, names[i]))
			corrections &= ~(1u << i);
	hide_and_carry(inserted, listed);
}

/* Whoever asks may be a constructor that runs before ours. */
bool in_force(enum correction which)
{
	start();
	return corrections & 1u << which;
}

static size_t length(char *const envp[])
{
	size_t count = 0;
	while (envp && envp[count])
		count++;
	return count;
}

static bool has(char *const envp[], const char *variable)
{
	size_t name = strcspn(variable, "=") + 1;
	for (; envp && *envp; envp++)
		if (strncmp(*envp, variable, name) == 0)
			return true;
	return false;
}

/* Fill `room`, which has space for all of them, and return it: nothing may be allocated between fork and exec. */
static char *const *extended(char *const envp[], enum correction by, char **room)
{
	size_t count = length(envp);
	if (!in_force(by))
		return envp;
	if (count)
		memcpy(room, envp, count * sizeof *room);
	for (const char **variable = carried; *variable; variable++)
		if (!has(envp, *variable))
			room[count++] = (char *)*variable;
	room[count] = NULL;
	return room;
}

#define EXTENDED(envp, by) extended(envp, by, alloca((length(envp) + 3) * sizeof(char *)))

int execve(const char *path, char *const argv[], char *const envp[])
{
	return libc_execve(path, argv, EXTENDED(envp, SPAWN_BY_EXECVE));
}

int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return libc_execvpe(file, argv, EXTENDED(envp, SPAWN_BY_EXECVE));
}

int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

int posix_spawn(
	pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
	char *const argv[], char *const envp[])
{
	return libc_spawn(pid, path, actions, attributes, argv, EXTENDED(envp, SPAWN_BY_POSIX_SPAWN));
}

int posix_spawnp(
	pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
	char *const argv[], char *const envp[])
{
	return libc_spawnp(pid, file, actions, attributes, argv, EXTENDED(envp, SPAWN_BY_POSIX_SPAWN));
}
