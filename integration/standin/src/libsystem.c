/* Preloaded into every guest process by /etc/ld.so.preload, of a mended Darling as well: no terminal has a name. */

#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

char *ttyname(int fd)
{
	(void)fd;
	errno = ENOTTY;
	return NULL;
}

int ttyname_r(int fd, char *name, size_t length)
{
	(void)fd;
	(void)name;
	(void)length;
	return ENOTTY;
}
