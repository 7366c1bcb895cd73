/*
 * The compat shim: corrects, in the processes into which dyld loads it, what a stock Darling gets wrong for sshd, for
 * Nix and for builds.
 *
 * Preloaded by DYLD_INSERT_LIBRARIES. DARLINGBUILDER_COMPAT names the corrections that are in force, with commas
 * between; unset, all are. A correction that is not in force, and any other call, passes through untouched.
 *
 * dyld exchanges each function below for ours in every image but this one: here, the plain name is the original. The
 * paths in comments are those of Darling's repository darling-xnu, below darling/src/libsystem_kernel/emulation/.
 */
#include "corrections.h"
#include "environment.h"
#include "signals.h"

#include <crt_externs.h>
#include <dlfcn.h>
#include <errno.h>
#include <libproc.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERPOSE(ours, original)                                                                                       \
    __attribute__((used, section("__DATA,__interpose"))) static const struct {                                         \
        const void *replacement, *replaced;                                                                             \
    } interpose_##original = {(const void *)(ours), (const void *)(original)}

/* Both are written by the constructor alone, before the program starts. */
static unsigned in_force;
static struct hidden hidden;

static bool corrects(enum correction correction)
{
    return (in_force & correction) != 0;
}

/*
 * getsockopt
 *
 * src/xnu_syscall/bsd/impl/network/getsockopt.c: an IPv4 socket without IP options is said to have as many bytes of
 * them, all zero, as there is room for; sshd refuses such a connection. Unnecessary once *optlen is what Linux says.
 */
static int our_getsockopt(int descriptor, int level, int option, void *restrict value, socklen_t *restrict length)
{
    int answer = getsockopt(descriptor, level, option, value, length);
    if (corrects(GETSOCKOPT) && answer == 0 && level == IPPROTO_IP && option == IP_OPTIONS && length != NULL)
        *length = 0;
    return answer;
}
INTERPOSE(our_getsockopt, getsockopt);

/*
 * proc_pidinfo
 *
 * src/xnu_syscall/bsd/impl/misc/proc_info.c: flavor PROC_PIDLISTFDS is missing, which is told by a line on stdout; the
 * closefrom() of each ssh session puts it before the first byte of Nix's protocol. The answer stays the same: nothing
 * and ENOTSUP. Unnecessary once the flavor is there, or nothing is printed for it.
 */
static int our_proc_pidinfo(int pid, int flavor, uint64_t argument, void *buffer, int size)
{
    if (!corrects(PROC_PIDINFO) || flavor != PROC_PIDLISTFDS)
        return proc_pidinfo(pid, flavor, argument, buffer, size);
    errno = ENOTSUP;
    return 0;
}
INTERPOSE(our_proc_pidinfo, proc_pidinfo);

/*
 * lchflags
 *
 * include/xnu_syscall/bsd/helper/xattr/setattrlist_generic.c, to which libc's lchflags comes, refuses the attribute
 * ATTR_CMN_FLAGS by EINVAL, where src/xnu_syscall/bsd/impl/unistd/chflags.c says ENOTSUP: there are no flags here. Nix
 * clears the flags of all that it registers and takes ENOTSUP alone. Unnecessary once setattrlist says ENOTSUP.
 */
static int flags_cleared(int answer, unsigned flags)
{
    if (corrects(LCHFLAGS) && answer == -1 && flags == 0 && errno == EINVAL)
        errno = ENOTSUP;
    return answer;
}

static int our_lchflags(const char *path, unsigned flags)
{
    return flags_cleared(lchflags(path, flags), flags);
}
INTERPOSE(our_lchflags, lchflags);

static int our_chflags(const char *path, unsigned flags)
{
    return flags_cleared(chflags(path, flags), flags);
}
INTERPOSE(our_chflags, chflags);

/*
 * accept
 *
 * src/xnu_syscall/bsd/impl/network/accept.c writes the family into the address even if it is null: nix-daemon's
 * accept(fd, NULL, NULL) is a crash. Unnecessary once a null address is left alone.
 */
static int our_accept(int descriptor, struct sockaddr *restrict address, socklen_t *restrict length)
{
    struct sockaddr_storage unwanted;
    socklen_t size = sizeof unwanted;
    if (corrects(ACCEPT) && address == NULL)
        return accept(descriptor, (struct sockaddr *)&unwanted, &size);
    return accept(descriptor, address, length);
}
INTERPOSE(our_accept, accept);

/*
 * poll
 *
 * src/xnu_syscall/bsd/impl/select/poll.c looks for a cancellation before it waits, and nothing ends the wait: the
 * pthread_cancel by which «nix-store --serve» ends its monitor thread hangs. Unnecessary once it interrupts.
 */
enum { SLICE_MILLISECONDS = 100 };

static int our_poll(struct pollfd *descriptors, nfds_t count, int timeout)
{
    int ready;
    if (!corrects(POLL) || timeout >= 0)
        return poll(descriptors, count, timeout);
    while ((ready = poll(descriptors, count, SLICE_MILLISECONDS)) == 0)
        pthread_testcancel();
    return ready;
}
INTERPOSE(our_poll, poll);

/*
 * signals
 *
 * src/linux_premigration/signal/sigexc.c, sigexc_handler: the default disposition is emulated by kill(0, …), so that
 * a fatal signal ends the whole process group: «yes | head -1» ends the build around it. Each fatal signal that is at
 * SIG_DFL therefore gets a handler that ends this process alone, and nobody can tell. Unnecessary once it is
 * kill(getpid(), …).
 *
 * src/xnu_syscall/bsd/impl/signal/sigaction.c keeps SIG_IGN in the process's memory alone, and sigexc.c takes every
 * signal anew in what is executed: «nohup» and «trap '' TERM» end with the exec. What is ignored is handed on in the
 * environment (with correction «spawn»). Unnecessary once the kernel is told of SIG_IGN, and left with it.
 */
static void end_own_process(int signal)
{
    int linux_signal = fatal_on_linux(signal);
    if (linux_signal != 0)
        end_by(linux_signal);
}

static int our_sigaction(int signal, const struct sigaction *restrict wanted, struct sigaction *restrict former)
{
    struct sigaction ending;
    if (!corrects(SIGNALS))
        return sigaction(signal, wanted, former);
    if (wanted != NULL && wanted->sa_handler == SIG_DFL && fatal_on_linux(signal) != 0) {
        ending = *wanted; /* its mask and flags are read back as they were set */
        ending.sa_handler = end_own_process;
        wanted = &ending;
    }
    int answer = sigaction(signal, wanted, former);
    if (answer == 0 && former != NULL && former->sa_handler == end_own_process)
        former->sa_handler = SIG_DFL;
    return answer;
}
INTERPOSE(our_sigaction, sigaction);

/* libc's calls sigaction, and dyld gives it ours as well; that is not relied upon. */
static void (*our_signal(int number, void (*handler)(int)))(int)
{
    if (corrects(SIGNALS) && handler == SIG_DFL && fatal_on_linux(number) != 0)
        handler = end_own_process;
    void (*former)(int) = signal(number, handler);
    return former == end_own_process ? SIG_DFL : former;
}
INTERPOSE(our_signal, signal);

static uint32_t signal_bit(int signal)
{
    return UINT32_C(1) << signal;
}

/* Of fatal signals alone: the rest does nothing by default (CHLD's is known to the kernel, Darling sets URG, WINCH). */
static uint32_t ignored_signals(void)
{
    uint32_t ignored = 0;
    struct sigaction action;
    for (int signal = 1; signal < NSIG; signal++)
        if (fatal_on_linux(signal) != 0 && sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            ignored |= signal_bit(signal);
    return ignored;
}

static void set_dispositions(uint32_t ignored)
{
    const struct sigaction ignoring = {.sa_handler = SIG_IGN}, ending = {.sa_handler = end_own_process};
    struct sigaction found;
    for (int signal = 1; signal < NSIG; signal++) {
        if (fatal_on_linux(signal) == 0 || sigaction(signal, NULL, &found) != 0 || found.sa_handler != SIG_DFL)
            continue;
        sigaction(signal, (ignored & signal_bit(signal)) != 0 ? &ignoring : &ending, NULL);
    }
}

/*
 * spawn
 *
 * No defect of Darling's: it is how the corrections reach the builds, for which Nix makes an environment of its own,
 * unseen. Unnecessary once nothing needs correcting in a build. The other exec functions, posix_spawnp, popen and
 * system come to these two, of which dyld gives libc ours.
 */
static int our_execve(const char *path, char *const arguments[], char *const environment[])
{
    struct passed passed;
    if (!corrects(SPAWN))
        return execve(path, arguments, environment);
    uint32_t ignored = corrects(SIGNALS) ? ignored_signals() : 0;
    return execve(path, arguments, environment_with_shim(&hidden, environment, ignored, &passed));
}
INTERPOSE(our_execve, execve);

static uint32_t to_be_ignored(const posix_spawnattr_t *attributes)
{
    short flags = 0;
    sigset_t reset = 0;
    if (!corrects(SIGNALS))
        return 0;
    if (attributes != NULL && posix_spawnattr_getflags(attributes, &flags) == 0 && flags & POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_getsigdefault(attributes, &reset);
    return ignored_signals() & ~(reset << 1); /* a sigset_t has signal 1 in bit 0 */
}

static int our_posix_spawn(pid_t *restrict pid, const char *restrict path,
                           const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *restrict attributes,
                           char *const arguments[restrict], char *const environment[restrict])
{
    struct passed passed;
    if (!corrects(SPAWN))
        return posix_spawn(pid, path, actions, attributes, arguments, environment);
    int before = errno;
    char **with_shim = environment_with_shim(&hidden, environment, to_be_ignored(attributes), &passed);
    errno = before;
    return posix_spawn(pid, path, actions, attributes, arguments, with_shim);
}
INTERPOSE(our_posix_spawn, posix_spawn);

__attribute__((constructor)) static void start(void)
{
    char **environment = *_NSGetEnviron();
    Dl_info own;

    in_force = corrections_chosen(environment_get(environment, COMPAT));
    if (corrects(SPAWN) && dladdr((const void *)start, &own) != 0)
        environment_hide(environment, own.dli_fname, &hidden);
    if (corrects(SIGNALS))
        set_dispositions(hidden.ignored);
}
