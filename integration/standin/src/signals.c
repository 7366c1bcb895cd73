/* Preloaded into every guest process of a stock Darling, not of a mended one: a fatal signal with its default
   disposition goes to the whole process group. Gone where dyld.c finds the correction for it in force. */

#define _GNU_SOURCE
#include "dyld.h"

#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static const int fatal_signals[] = {
	SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,    SIGUSR1, SIGSEGV,
	SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGXFSZ, SIGSYS,  SIGVTALRM, SIGPROF,
};

static int (*libc_sigaction)(int, const struct sigaction *, struct sigaction *);

static void kill_group(int signal)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t set;
	libc_sigaction(signal, &standard, NULL);
	kill(0, signal);
	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	kill(getpid(), signal);
}

static int is_fatal(int signal)
{
	for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++)
		if (fatal_signals[i] == signal)
			return 1;
	return 0;
}

static bool corrected(void)
{
	return in_force(SIGNALS_BY_SIGACTION) && in_force(SIGNALS_BY_SIGNAL);
}

/* SA_RESTART and no mask: a signal that is blocked, awaited or ignored must look as it always did. */
static const struct sigaction group_killer = {.sa_handler = kill_group, .sa_flags = SA_RESTART};

int sigaction(int signal, const struct sigaction *new, struct sigaction *old)
{
	if (!libc_sigaction)
		libc_sigaction = dlsym(RTLD_NEXT, "sigaction");
	if (new && new->sa_handler == SIG_DFL && is_fatal(signal) && !corrected())
		new = &group_killer;
	int status = libc_sigaction(signal, new, old);
	if (status == 0 && old && old->sa_handler == kill_group) {
		old->sa_handler = SIG_DFL;
		old->sa_flags = 0;
	}
	return status;
}

static sighandler_t set_handler(int signal, sighandler_t handler, int flags)
{
	struct sigaction new = {.sa_handler = handler, .sa_flags = flags}, old;
	return sigaction(signal, &new, &old) < 0 ? SIG_ERR : old.sa_handler;
}

sighandler_t signal(int signal, sighandler_t handler)
{
	return set_handler(signal, handler, SA_RESTART);
}

sighandler_t bsd_signal(int signal, sighandler_t handler)
{
	return set_handler(signal, handler, SA_RESTART);
}

sighandler_t __sysv_signal(int signal, sighandler_t handler)
{
	return set_handler(signal, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

__attribute__((constructor)) static void take_over(void)
{
	for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++) {
		struct sigaction now;
		if (sigaction(fatal_signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			sigaction(fatal_signals[i], &now, NULL);
	}
}
