/* What a program reads and sets of the dispositions of signals; it must not see that a shim has handlers of its own.
 *
 * dispositions read NAME...          what each is at the start
 * dispositions reset CALL NAME       a handler set, used, and set back to SIG_DFL by CALL: sigaction or signal
 * dispositions flags NAME            what was set with sigaction is what is read back
 */
#include "common.h"

static volatile sig_atomic_t handled;

static void count(int number)
{
    (void)number;
    handled++;
}

static void count_more(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    count(number);
}

static const char *named(void (*handler)(int))
{
    return handler == SIG_DFL ? "default" : handler == SIG_IGN ? "ignored" : handler == count ? "ours" : "foreign";
}

static const char *current(int number)
{
    struct sigaction now;
    memset(&now, 0xff, sizeof now);
    return sigaction(number, NULL, &now) == 0 ? named(now.sa_handler) : "error";
}

static const char *set(const char *call, int number, void (*handler)(int))
{
    if (strcmp(call, "signal") == 0)
        return named(signal(number, handler));
    struct sigaction new, old;
    memset(&new, 0, sizeof new);
    memset(&old, 0xff, sizeof old);
    new.sa_handler = handler;
    return sigaction(number, &new, &old) == 0 ? named(old.sa_handler) : "error";
}

typedef struct {
    const char *call;
    int number;
} Order;

static void set_use_and_reset(void *with)
{
    const Order *order = with;
    printf("at the start: %s\n", current(order->number));
    printf("replaced by ours: %s\n", set(order->call, order->number, count));
    printf("then: %s\n", current(order->number));
    kill(getpid(), order->number);
    for (int i = 0; i < 20 && !handled; i++)
        usleep(50000);
    printf("handled: %d\n", (int)handled);
    printf("replaced by the default: %s\n", set(order->call, order->number, SIG_DFL));
    printf("then: %s\n", current(order->number));
    pid_t child = fork();
    if (child == 0) {
        kill(getpid(), order->number);
        sleep(1);
        _exit(99);
    }
    tell_end("child", end_of(child));
}

static int flags(int number)
{
    struct sigaction new, old;
    memset(&new, 0, sizeof new);
    memset(&old, 0xff, sizeof old);
    new.sa_sigaction = count_more;
    const int set = SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER;
    new.sa_flags = set;
    sigaddset(&new.sa_mask, SIGCHLD);
    sigaddset(&new.sa_mask, SIGWINCH);
    if (sigaction(number, &new, NULL) != 0 || sigaction(number, NULL, &old) != 0)
        return perror("sigaction"), 1;
    /* Flags of a system's own, as glibc's for the return from a handler, are not asked for. */
    const int known = set | SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESETHAND;
    printf("flags: %s\n", (old.sa_flags & known) == set ? "kept" : "changed");
    printf("handler: %s\n", old.sa_sigaction == count_more ? "kept" : "changed");
    int kept = sigismember(&old.sa_mask, SIGCHLD) && sigismember(&old.sa_mask, SIGWINCH);
    printf("mask: %s\n", kept && !sigismember(&old.sa_mask, SIGTERM) ? "kept" : "changed");
    return 0;
}

int main(int words, char **word)
{
    unbuffered();
    if (words >= 3 && strcmp(word[1], "read") == 0) {
        for (int i = 2; i < words; i++)
            printf("%s %s\n", word[i], current(signal_number(word[i])));
        return 0;
    }
    if (words == 3 && strcmp(word[1], "flags") == 0)
        return flags(signal_number(word[2]));
    if (words != 4 || strcmp(word[1], "reset") != 0)
        return 2;
    Order order = {word[2], signal_number(word[3])};
    tell_end("group", in_a_group(set_use_and_reset, &order));
    return 0;
}
