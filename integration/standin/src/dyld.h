/* What the dylibs that a process was started with correct in it. */

#ifndef DYLD_H
#define DYLD_H

#include <stdbool.h>

enum correction {
	GETSOCKOPT,
	PROC_PIDINFO,
	LCHFLAGS,
	SIGNALS_BY_SIGACTION,
	SIGNALS_BY_SIGNAL,
	SPAWN_BY_EXECVE,
	SPAWN_BY_POSIX_SPAWN,
	CORRECTIONS,
};

/* Tell whether DYLD_INSERT_LIBRARIES names a dylib that interposes what this correction needs, and whether
   DARLINGBUILDER_COMPAT, if it is set, has it in its list. Both as they were when the process started. */
bool in_force(enum correction which);

#endif
