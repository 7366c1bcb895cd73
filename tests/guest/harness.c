/*
 * Tries the shim's logic on Linux.
 *
 * chosen LIST            the corrections that a DARLINGBUILDER_COMPAT chooses, a line each; without LIST: unset
 * hide PATH              takes the shim, loaded from PATH, out of the environment; prints what was hidden and the rest
 * carry PATH IGNORED     the same, then prints the environment that it makes of stdin's lines
 * signal NUMBER          what Linux calls a Darwin signal; 0: not fatal
 * end NUMBER             in a process group with a sibling: ends by this Linux signal; prints what became of both
 */
#include "corrections.h"
#include "environment.h"
#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static struct hidden hidden;

static int chosen(const char *list)
{
    unsigned found = corrections_chosen(list);
    for (int i = 0; i < CORRECTION_COUNT; i++)
        if (found & CORRECTIONS[i].correction)
            puts(CORRECTIONS[i].name);
    return 0;
}

static int hide(const char *path)
{
    environment_hide(environ, path, &hidden);
    printf("library %s\ncompat %s\nignored %08x\n", hidden.library, hidden.compat, hidden.ignored);
    for (char **variable = environ; *variable != NULL; variable++)
        puts(*variable);
    return 0;
}

static int carry(const char *path, uint32_t ignored)
{
    static char text[1 << 20], *given[20000];
    struct passed passed;
    int count = 0;
    environment_hide(environ, path, &hidden);
    text[fread(text, 1, sizeof text - 1, stdin)] = '\0';
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        given[count++] = line;
    char **result = environment_with_shim(&hidden, count > 0 ? given : NULL, ignored, &passed);
    for (; result != NULL && *result != NULL; result++)
        puts(*result);
    return 0;
}

static void end_in_handler(int signal)
{
    end_by(signal);
}

static void *wait_for_ever(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}

/* As under Darling: all signals are blocked in the handler, and other threads have none of them blocked. */
static void end_alone(int number)
{
    struct rlimit no_core = {0, 0};
    struct sigaction action = {.sa_handler = end_in_handler};
    pthread_t thread;
    setrlimit(RLIMIT_CORE, &no_core);
    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
    pthread_create(&thread, NULL, wait_for_ever, NULL);
    kill(getpid(), number);
    for (;;)
        pause();
}

static void tell(const char *who, int status)
{
    printf("%s %s %d\n", who, WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int end(int number)
{
    int status, gate[2];
    char byte;
    setpgid(0, 0);
    if (pipe(gate) != 0)
        return 1;
    pid_t sibling = fork();
    if (sibling == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
    }
    pid_t child = fork();
    if (child == 0)
        end_alone(number);
    waitpid(child, &status, 0);
    tell("child", status);
    close(gate[1]);
    waitpid(sibling, &status, 0);
    tell("sibling", status);
    return 0;
}

int main(int count, char **words)
{
    const char *what = count > 1 ? words[1] : "", *first = count > 2 ? words[2] : NULL;
    if (strcmp(what, "chosen") == 0)
        return chosen(first);
    if (strcmp(what, "hide") == 0)
        return hide(first);
    if (strcmp(what, "carry") == 0)
        return carry(first, (uint32_t)strtoul(words[3], NULL, 16));
    if (strcmp(what, "signal") == 0)
        return printf("%d\n", fatal_on_linux(atoi(first))) < 0;
    if (strcmp(what, "end") == 0)
        return end(atoi(first));
    return 2;
}
