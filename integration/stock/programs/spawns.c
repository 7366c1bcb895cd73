/* spawns HOW PROGRAM: start a program without arguments by one of the ways that C has, with A=1 and B=2 for all its
 * environment where the way takes one, and wait for it.
 */
#include "common.h"

#include <errno.h>
#include <spawn.h>

extern char **environ;

static char *given[] = {"A=1", "B=2", NULL};

static void become(const char *how, char *program, char **argv)
{
    if (strcmp(how, "execve") == 0)
        execve(program, argv, given);
    else if (strcmp(how, "execv") == 0)
        execv(program, argv);
    else if (strcmp(how, "execvp") == 0)
        execvp(program, argv);
    else if (strcmp(how, "execl") == 0)
        execl(program, program, (char *)NULL);
    else if (strcmp(how, "execlp") == 0)
        execlp(program, program, (char *)NULL);
    else if (strcmp(how, "execle") == 0)
        execle(program, program, (char *)NULL, given);
#ifdef POSIX_SPAWN_SETEXEC
    else if (strcmp(how, "setexec") == 0) {
        posix_spawnattr_t attributes;
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETEXEC);
        posix_spawn(NULL, program, NULL, &attributes, argv, given);
    }
#endif
    perror(how);
    _exit(98);
}

/* What is old-fashioned is still used: by make and by shells. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static pid_t vforked(char *program, char **argv)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execve(program, argv, given);
        _exit(98);
    }
    return pid;
}

static pid_t started(const char *how, char *program, char **argv)
{
    pid_t pid = -1;
    int error = 0;
    if (strcmp(how, "posix_spawn") == 0)
        error = posix_spawn(&pid, program, NULL, NULL, argv, given);
    else if (strcmp(how, "posix_spawnp") == 0)
        error = posix_spawnp(&pid, program, NULL, NULL, argv, given);
    else if (strcmp(how, "vfork") == 0)
        pid = vforked(program, argv);
    else if ((pid = fork()) == 0)
        become(how, program, argv);
    if (error != 0)
        fprintf(stderr, "%s: %s\n", how, strerror(error));
    return pid;
}

static int read_through_popen(const char *program)
{
    char line[512];
    FILE *pipe = popen(program, "r");
    while (pipe != NULL && fgets(line, sizeof line, pipe) != NULL)
        fputs(line, stdout);
    return pipe != NULL ? pclose(pipe) : -1;
}

int main(int words, char **word)
{
    unbuffered();
    if (words != 3)
        return 2;
    char *argv[] = {word[2], NULL};
    if (strcmp(word[1], "system") == 0)
        tell_end("child", system(word[2]));
    else if (strcmp(word[1], "popen") == 0)
        tell_end("child", read_through_popen(word[2]));
    else
        tell_end("child", end_of(started(word[1], word[2], argv)));
    return 0;
}
