/*
 * Says what this Darling makes of system calls that Nix and builds need: a line «name: ok» or «name: ERRNO» each.
 *
 * Built by «zig cc -target x86_64-macos.11.0 -o probe probe.c», run by «darlingbuilder doctor» in a directory that it
 * may write. C11 and the guest's libSystem, nothing else.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* RENAME_SWAP of <sys/stdio.h>. */
enum { SWAP = 2 };

typedef int rename_at(int, const char *, int, const char *, unsigned int);
typedef int clone(const char *, const char *, uint32_t);

static void say(const char *name, int result)
{
	int error = errno;
	static const struct { int number; const char *name; } known[] = {
		{ ENOSYS, "ENOSYS" }, { ENOTSUP, "ENOTSUP" }, { EOPNOTSUPP, "EOPNOTSUPP" }, { EINVAL, "EINVAL" },
		{ EPERM, "EPERM" }, { EACCES, "EACCES" }, { ENOENT, "ENOENT" }, { EROFS, "EROFS" }, { EEXIST, "EEXIST" },
	};
	if (result == 0) {
		printf("%s: ok\n", name);
		return;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].number == error) {
			printf("%s: %s\n", name, known[i].name);
			return;
		}
	}
	printf("%s: E%d\n", name, error);
}

static int touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	return fd < 0 ? -1 : close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) != 0 || touch("file") != 0 || touch("other") != 0 || symlink("file", "link") != 0) {
		fprintf(stderr, "usage: probe DIRECTORY, an empty one that can be written\n");
		return 2;
	}
	/* Nix clears the flags of all that it registers and takes ENOTSUP for an answer, nothing else; a stock Darling
	   has ENOTSUP for a file and EINVAL for a symbolic link. */
	say("lchflags", lchflags("link", 0));
	/* Looked up at run time: where the library lacks one, the others are still told. Swapping two files must work on
	   every file system that macOS boots from; ENOTSUP is what others answer. */
	rename_at *renames = (rename_at *)dlsym(RTLD_DEFAULT, "renameatx_np");
	errno = ENOSYS;
	say("renameatx_np", renames ? renames(AT_FDCWD, "file", AT_FDCWD, "other", SWAP) : -1);
	clone *clones = (clone *)dlsym(RTLD_DEFAULT, "clonefile");
	errno = ENOSYS;
	say("clonefile", clones ? clones("file", "clone", 0) : -1);
	return fflush(stdout) == 0 ? 0 : 1;
}
