/* The prefix as the launcher sees it from outside: its directories, its owner, the server's pid. */

#ifndef STANDIN_PREFIX_H
#define STANDIN_PREFIX_H

#include <stdbool.h>
#include <sys/types.h>

/* Creates a prefix that does not exist yet, as its user; tells whether it did. One that exists, even an empty
   directory, is left as it is: that is the launcher's known trap. */
bool make_prefix(const char *prefix, uid_t uid, gid_t gid);

void check_owner(const char *prefix, uid_t uid);
void make_workdir(const char *prefix);
void write_server_pid(const char *prefix, pid_t server, uid_t uid, gid_t gid);

/* The server that .init.pid names, or 0. A zombie counts as alive. */
pid_t server_pid(const char *prefix, uid_t uid, gid_t gid);

/* A child of `parent`, or 0. */
pid_t child_of(pid_t parent);

#endif
