/* Is the shim loaded in this process, and can the program see it in its environment? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

extern char **environ;

static const char *loaded(void)
{
#ifdef __APPLE__
    for (unsigned int i = 0; i < _dyld_image_count(); i++)
        if (strstr(_dyld_get_image_name(i), "/compat.dylib") != NULL)
            return "yes";
#endif
    return "no";
}

static int listed(char **variables, const char *name)
{
    size_t length = strlen(name);
    for (; *variables != NULL; variables++)
        if (strncmp(*variables, name, length) == 0 && (*variables)[length] == '=')
            return 1;
    return 0;
}

int main(int words, char **word, char **variables)
{
    static const char *const names[] = {"DYLD_INSERT_LIBRARIES", "DARLINGBUILDER_COMPAT"};
    (void)words;
    (void)word;
    printf("loaded: %s\n", loaded());
    for (int i = 0; i < 2; i++) {
        if (getenv(names[i]) != NULL)
            printf("getenv: %s\n", names[i]);
        if (listed(environ, names[i]))
            printf("environ: %s\n", names[i]);
        if (listed(variables, names[i]))
            printf("main: %s\n", names[i]);
    }
    return 0;
}
