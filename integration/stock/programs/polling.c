/* polling WHAT: how a poll ends.
 *
 * cancel    without a limit, in a thread that is cancelled: «cancelled», or «stuck» after five seconds
 * data      without a limit, by what is written after a while
 * signal    without a limit, by a signal with a handler: EINTR
 * limit     with a limit, by its time
 * closed    without a limit, by the other end being closed
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int ends[2];
static volatile int ended;

static void note(void *unused)
{
    (void)unused;
    ended = 1;
}

static void *wait_for_ever(void *unused)
{
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    (void)unused;
    pthread_cleanup_push(note, NULL);
    poll(&one, 1, -1);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel(void)
{
    pthread_t thread;
    void *result = NULL;
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
        return perror("pthread_create");
    usleep(300000);
    pthread_cancel(thread);
    for (int i = 0; i < 100 && !ended; i++)
        usleep(50000);
    if (ended)
        pthread_join(thread, &result);
    puts(!ended ? "stuck" : result == PTHREAD_CANCELED ? "cancelled" : "returned");
    fflush(stdout);
    /* A thread that is stuck must not keep the process. */
    _exit(0);
}

static void ignore_it(int number)
{
    (void)number;
}

static void interrupt_later(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = ignore_it;
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {.it_value = {.tv_sec = 1, .tv_usec = 200000}};
    setitimer(ITIMER_REAL, &soon, NULL);
}

static void *write_later(void *unused)
{
    (void)unused;
    usleep(1200000);
    if (write(ends[1], "x", 1) != 1)
        perror("write");
    return NULL;
}

static void *close_later(void *unused)
{
    (void)unused;
    usleep(1200000);
    close(ends[1]);
    return NULL;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void wait_and_tell(int limit)
{
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    double begin = now();
    errno = 0;
    int ready = poll(&one, 1, limit);
    const char *error = errno == EINTR ? "EINTR" : errno == 0 ? "none" : "other";
    double lasted = now() - begin;
    const char *time = lasted > 1.1 && lasted < 4 ? "in time" : "at the wrong time";
    printf("%d %s%s%s %s\n", ready, error, one.revents & POLLIN ? " in" : "", one.revents & POLLHUP ? " hup" : "", time);
}

int main(int words, char **word)
{
    const char *what = words == 2 ? word[1] : "";
    pthread_t writer;
    if (pipe(ends) != 0)
        return 1;
    if (strcmp(what, "cancel") == 0)
        cancel();
    if (strcmp(what, "signal") == 0)
        interrupt_later();
    if (strcmp(what, "data") == 0)
        pthread_create(&writer, NULL, write_later, NULL);
    if (strcmp(what, "closed") == 0)
        pthread_create(&writer, NULL, close_later, NULL);
    wait_and_tell(strcmp(what, "limit") == 0 ? 1200 : -1);
    return 0;
}
