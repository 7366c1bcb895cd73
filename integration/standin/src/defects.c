/* Preloaded into every guest process of a stock Darling, not of a mended one: three defects that the compat shim
   corrects. Each is gone where dyld.c finds its correction in force.

   A Linux program does not call what is wrong in Darling's libSystem. It calls, at the same place and for the
   same end, what stands here. */

#define _GNU_SOURCE
#include "dyld.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { OPTIONS_SIZE = 200 };

static int (*libc_getsockopt)(int, int, int, void *, socklen_t *);
static ssize_t (*libc_llistxattr)(const char *, char *, size_t);

__attribute__((constructor)) static void find_originals(void)
{
	libc_getsockopt = dlsym(RTLD_NEXT, "getsockopt");
	libc_llistxattr = dlsym(RTLD_NEXT, "llistxattr");
}

/* Darling takes IP_OPTIONS for another option of Linux: 200 zero bytes, by which sshd sees a source route. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	if (level != IPPROTO_IP || name != IP_OPTIONS || in_force(GETSOCKOPT))
		return libc_getsockopt(fd, level, name, value, size);
	if (*size > OPTIONS_SIZE)
		*size = OPTIONS_SIZE;
	memset(value, 0, *size);
	return 0;
}

/* Darwin's closefrom() asks proc_pidinfo(), of which Darling's kernel says on fd 1 that it knows no such flavor.
   OpenSSH's closefrom() on Linux is this call up to INT_MAX; Nix closes up to UINT_MAX, and on Darwin one by one.
   From 3 on: sshd closes the rest for a session, for its own processes it begins higher. */
int close_range(unsigned int first, unsigned int last, int flags)
{
	static const char complaint[] = "sys_proc_info(): Unsupported pidinfo flavor: 1\n";
	if (first == STDERR_FILENO + 1 && last == INT_MAX && !in_force(PROC_PIDINFO))
		if (write(STDOUT_FILENO, complaint, sizeof complaint - 1) < 0)
			errno = 0;
	return (int)syscall(SYS_close_range, first, last, flags);
}

static int is_link_in_store(const char *path)
{
	struct stat status;
	return strstr(path, "/nix/store/") && lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

/* Darling's lchflags() fails on a symlink with EINVAL. Nix calls it on each file that it registers, and next
   llistxattr(), the only one of the two on Linux: of both it tolerates that they are not supported, and nothing
   else. Nobody but Nix does either with a symlink in the store, save a build's `cp --archive`. */
ssize_t llistxattr(const char *path, char *names, size_t size)
{
	if (strncmp(program_invocation_short_name, "nix", 3) == 0 && !in_force(LCHFLAGS) && is_link_in_store(path)) {
		errno = EINVAL;
		return -1;
	}
	return libc_llistxattr(path, names, size);
}
