/* What several of the programs need: the names of signals, how a child ended, and a process group to die in. */
#ifndef COMMON_H
#define COMMON_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    int number;
} signal_names[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"ABRT", SIGABRT},
    {"FPE", SIGFPE},   {"BUS", SIGBUS},   {"SEGV", SIGSEGV}, {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},
    {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"XCPU", SIGXCPU}, {"KILL", SIGKILL},
};
enum { SIGNALS = sizeof signal_names / sizeof signal_names[0] };

static inline int signal_number(const char *name)
{
    for (int i = 0; i < SIGNALS; i++)
        if (strcmp(signal_names[i].name, name) == 0)
            return signal_names[i].number;
    fprintf(stderr, "no signal of the table: %s\n", name);
    exit(2);
}

static inline const char *signal_name(int number)
{
    for (int i = 0; i < SIGNALS; i++)
        if (signal_names[i].number == number)
            return signal_names[i].name;
    return "unknown";
}

/* Nothing may be lost in a buffer when a process dies, and nothing be written twice by a forked one. */
static inline void unbuffered(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
}

static inline void tell_end(const char *who, int status)
{
    if (WIFSIGNALED(status))
        printf("%s: %s\n", who, signal_name(WTERMSIG(status)));
    else
        printf("%s: exit %d\n", who, WEXITSTATUS(status));
}

static inline int end_of(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid) {
        perror("waitpid");
        exit(2);
    }
    return status;
}

/* Run an experiment in a process group of its own, so that one that kills its group does not kill who watches. */
static inline int in_a_group(void (*experiment)(void *), void *with)
{
    pid_t leader = fork();
    if (leader < 0) {
        perror("fork");
        exit(2);
    }
    if (leader == 0) {
        setpgid(0, 0);
        experiment(with);
        _exit(0);
    }
    return end_of(leader);
}

#endif
