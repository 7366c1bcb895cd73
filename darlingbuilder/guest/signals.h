/*
 * Darwin's fatal signals, and how a process ends by one alone. The system calls are Linux's own: a guest process is a
 * Linux process, and Darling would translate none of these as is needed here. Free of Darwin, so that it is tested
 * natively.
 */
#ifndef DARLINGBUILDER_SIGNALS_H
#define DARLINGBUILDER_SIGNALS_H

#include <stdint.h>

/* What Darwin ends a process by, unless it is told otherwise. 0: not fatal, or none of the program's business (KILL). */
static const unsigned char LINUX_SIGNAL[32] = {
    [1] = 1,   /* HUP */
    [2] = 2,   /* INT */
    [3] = 3,   /* QUIT */
    [4] = 4,   /* ILL */
    [5] = 5,   /* TRAP */
    [6] = 6,   /* ABRT */
    [8] = 8,   /* FPE; 7 is EMT, which Linux has not */
    [10] = 7,  /* BUS */
    [11] = 11, /* SEGV */
    [12] = 31, /* SYS */
    [13] = 13, /* PIPE */
    [14] = 14, /* ALRM */
    [15] = 15, /* TERM */
    [24] = 24, /* XCPU */
    [25] = 25, /* XFSZ */
    [26] = 26, /* VTALRM */
    [27] = 27, /* PROF */
    [30] = 10, /* USR1 */
    [31] = 12, /* USR2 */
};

static int fatal_on_linux(int darwin_signal)
{
    return darwin_signal > 0 && darwin_signal < 32 ? LINUX_SIGNAL[darwin_signal] : 0;
}

/* x86_64: the kernel's numbers, and its struct sigaction, which is no C library's. */
enum {
    LINUX_RT_SIGACTION = 13,
    LINUX_RT_SIGPROCMASK = 14,
    LINUX_GETPID = 39,
    LINUX_GETTID = 186,
    LINUX_EXIT_GROUP = 231,
    LINUX_TGKILL = 234,
};
enum { LINUX_SIG_UNBLOCK = 1 };

struct linux_sigaction {
    void *handler; /* NULL is SIG_DFL */
    unsigned long flags;
    void *restorer; /* used, with SA_RESTORER, only where a handler returns: not by SIG_DFL */
    uint64_t mask;
};

static long linux_syscall(long number, long first, long second, long third, long fourth)
{
    register long r10 __asm__("r10") = fourth;
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
                     : "rcx", "r11", "memory");
    return answer;
}

/*
 * End this process, and no other, by a signal. Safe in a handler: it calls the kernel alone. It is this thread that
 * the signal is for: kill() might choose another one, and this one would run on until that one dies.
 */
static void end_by(int linux_signal)
{
    const struct linux_sigaction standard = {.handler = 0};
    const uint64_t itself = UINT64_C(1) << (linux_signal - 1);
    const long process = linux_syscall(LINUX_GETPID, 0, 0, 0, 0);
    const long thread = linux_syscall(LINUX_GETTID, 0, 0, 0, 0);

    linux_syscall(LINUX_RT_SIGACTION, linux_signal, (long)&standard, 0, sizeof standard.mask);
    linux_syscall(LINUX_TGKILL, process, thread, linux_signal, 0);
    linux_syscall(LINUX_RT_SIGPROCMASK, LINUX_SIG_UNBLOCK, (long)&itself, 0, sizeof itself);
    /* Only where the kernel does not: the first process of a name space has no default disposition. */
    linux_syscall(LINUX_EXIT_GROUP, 128 + linux_signal, 0, 0, 0);
}

#endif
