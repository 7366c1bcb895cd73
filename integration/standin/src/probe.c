/* Calls in a guest what defects.c has wrong, and says what came of it; a stray line comes before that.

   Its name in the guest must begin with `nix`, as of all that registers store paths. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	char options[200];
	socklen_t size = sizeof options;
	int server = socket(AF_INET, SOCK_STREAM, 0);
	if (getsockopt(server, IPPROTO_IP, IP_OPTIONS, options, &size) == 0)
		printf("IP_OPTIONS: %u bytes\n", size);
	fflush(stdout);
	close_range(3, INT_MAX, 0);
	for (int i = 1; i < argc; i++)
		printf("%s: %s\n", argv[i], llistxattr(argv[i], NULL, 0) < 0 ? strerror(errno) : "registered");
	return 0;
}
