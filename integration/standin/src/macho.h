/* What a dylib interposes, as its Mach-O file says it. */

#ifndef MACHO_H
#define MACHO_H

#include <stddef.h>

/* Return a bit for each of `symbols`, in their order: set if `path` is a Mach-O dylib for x86_64 that has a tuple
   for exactly that symbol in __DATA,__interpose. Anything else that may bear this name interposes nothing. */
unsigned interposed_by(const char *path, const char *const symbols[], size_t count);

#endif
