/* signals HOW CAUSE NAME: who dies of a signal, and who with it?
 *
 * HOW is how the victim comes to be: fork, exec, spawn. CAUSE is how the signal does: kill (sent to itself), raise,
 * thread (raised in a second thread), parent (sent by the parent), nature (what brings it about in ordinary programs).
 * A sibling sits in the same process group. The last line comes from outside the group: of a whole group that died
 * it is the only one.
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>

extern char **environ;

typedef struct {
    char *self, *how, *cause, *name;
} Order;

/* Both are read when it is done: of a known number a compiler makes no division. */
static volatile int one = 1, zero;

static void touch_beyond_the_end(void)
{
    char path[] = "/tmp/signals-XXXXXX";
    int file = mkstemp(path);
    unlink(path);
    volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file >= 0 && page != MAP_FAILED)
        page[0] = 1;
}

static void write_into_a_closed_pipe(void)
{
    int ends[2];
    if (pipe(ends) == 0) {
        close(ends[0]);
        if (write(ends[1], "x", 1) < 0)
            perror("write");
    }
}

static void by_nature(int number)
{
    switch (number) {
    case SIGILL:
        __builtin_trap();
    case SIGABRT:
        abort();
    case SIGFPE:
        zero = one / zero;
        break;
    case SIGBUS:
        touch_beyond_the_end();
        break;
    case SIGSEGV: {
        volatile int *volatile nowhere = NULL;
        *nowhere = 1;
        break;
    }
    case SIGPIPE:
        write_into_a_closed_pipe();
        break;
    case SIGALRM:
        alarm(1);
        pause();
        break;
    default:
        fprintf(stderr, "%s does not come about by itself\n", signal_name(number));
    }
}

static void *raise_it(void *number)
{
    raise(*(int *)number);
    return NULL;
}

static void in_a_thread(int number)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, raise_it, &number) == 0)
        pthread_join(thread, NULL);
}

static void die(const char *cause, int number)
{
    if (strcmp(cause, "kill") == 0)
        kill(getpid(), number);
    else if (strcmp(cause, "raise") == 0)
        raise(number);
    else if (strcmp(cause, "thread") == 0)
        in_a_thread(number);
    else if (strcmp(cause, "parent") == 0)
        sleep(20);
    else
        by_nature(number);
    /* A signal to oneself has arrived when kill returns; a moment more for one that went round by a server. */
    sleep(1);
    _exit(99);
}

static pid_t victim(const Order *order)
{
    char *again[] = {order->self, "die", order->cause, order->name, NULL};
    pid_t pid = 0;
    if (strcmp(order->how, "spawn") == 0) {
        int error = posix_spawn(&pid, order->self, NULL, NULL, again, environ);
        if (error != 0)
            fprintf(stderr, "posix_spawn: %s\n", strerror(error));
        return error != 0 ? -1 : pid;
    }
    pid = fork();
    if (pid != 0)
        return pid;
    if (strcmp(order->how, "exec") == 0) {
        execv(order->self, again);
        perror("execv");
        _exit(98);
    }
    die(order->cause, signal_number(order->name));
    _exit(97);
}

static void experiment(void *with)
{
    const Order *order = with;
    pid_t sibling = fork();
    if (sibling == 0) {
        sleep(20);
        _exit(0);
    }
    pid_t dying = victim(order);
    if (strcmp(order->cause, "parent") == 0) {
        /* Long enough for a fresh process to be past its constructors: 40 ms on a quiet machine. */
        usleep(500000);
        kill(dying, signal_number(order->name));
    }
    tell_end("child", end_of(dying));
    usleep(100000);
    int status = 0;
    if (waitpid(sibling, &status, WNOHANG) == 0) {
        printf("sibling: alive\n");
        kill(sibling, SIGKILL);
        end_of(sibling);
    } else {
        tell_end("sibling", status);
    }
}

int main(int count, char **words)
{
    unbuffered();
    if (count != 4)
        return 2;
    if (strcmp(words[1], "die") == 0)
        die(words[2], signal_number(words[3]));
    Order order = {words[0], words[1], words[2], words[3]};
    tell_end("group", in_a_group(experiment, &order));
    return 0;
}
