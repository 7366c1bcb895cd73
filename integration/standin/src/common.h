/* What the launcher, the server and the guest's init agree on. */

#ifndef STANDIN_COMMON_H
#define STANDIN_COMMON_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_ROOT "/Volumes/SystemRoot"
#define SHELLSPAWN_SOCKET "/var/run/shellspawn.sock"

/* How a command reaches the guest: this head together with the three descriptors, then `length` bytes of
   NUL-terminated strings: the directory, `arguments` arguments, the environment. */
struct request {
	uint32_t length;
	uint32_t arguments;
	uint32_t plain; /* 1: run the first argument itself; 0: the arguments go to `bash --login` */
};

_Noreturn static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* Joins a directory and a name; the result is never freed, these programs are short. */
static inline char *join(const char *directory, const char *name)
{
	char *path;
	if (asprintf(&path, "%s%s", directory, name) < 0)
		die("asprintf");
	return path;
}

static inline int read_exactly(int fd, void *into, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = read(fd, (char *)into + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static inline int write_exactly(int fd, const void *from, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = write(fd, (const char *)from + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

#endif
