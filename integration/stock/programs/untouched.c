/* untouched DIRECTORY: calls that no correction is for, or that it must leave as they are; one line each: what was
 * returned, and errno, which was 77 before. The same program with and without the shim must print the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __APPLE__
#include <libproc.h>
#endif

enum { BEFORE = 77 };

#define TELL(call)                                              \
    do {                                                        \
        errno = BEFORE;                                         \
        long answer = (long)(call);                             \
        int after = errno;                                      \
        printf("%s: %ld, errno %d\n", #call, answer, after);    \
    } while (0)

static void handler(int number)
{
    (void)number;
}

static void sockets(void)
{
    int tcp = socket(AF_INET, SOCK_STREAM, 0), file = open("/dev/null", O_RDONLY), value = 0;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof value;
    TELL(getsockopt(tcp, SOL_SOCKET, SO_TYPE, &value, &length));
    printf("%d %u\n", value, (unsigned int)length);
    TELL(getsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &value, &length));
    TELL(getsockopt(tcp, SOL_SOCKET, SO_ERROR, &value, &length));
    TELL(getsockopt(tcp, IPPROTO_IP, IP_TTL, &value, &length));
    printf("%d %u\n", value, (unsigned int)length);
    TELL(getsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &value, &length));
    TELL(getsockopt(-1, SOL_SOCKET, SO_TYPE, &value, &length));
    TELL(getsockopt(file, SOL_SOCKET, SO_TYPE, &value, &length));
    length = sizeof address;
    TELL(accept(-1, NULL, NULL));
    TELL(accept(file, NULL, NULL));
    TELL(accept(tcp, (struct sockaddr *)&address, &length));
    TELL(bind(tcp, (struct sockaddr *)&address, sizeof address));
    TELL(listen(tcp, 1));
    TELL(fcntl(tcp, F_SETFL, O_NONBLOCK));
    TELL(accept(tcp, NULL, NULL));
    length = sizeof address;
    TELL(accept(tcp, (struct sockaddr *)&address, &length));
}

static void polls(void)
{
    int ends[2];
    struct pollfd one = {.events = POLLIN}, bad = {.fd = 999, .events = POLLIN};
    TELL(pipe(ends));
    one.fd = ends[0];
    TELL(poll(&one, 1, 0));
    TELL(poll(&one, 1, 20));
    TELL(poll(NULL, 0, 20));
    TELL(poll(&bad, 1, -1));
    printf("%d\n", bad.revents);
    TELL(write(ends[1], "x", 1));
    TELL(poll(&one, 1, -1));
    TELL(poll(&one, 1, -5));
    struct pollfd *volatile nowhere = (struct pollfd *)8;
    TELL(poll(nowhere, 1, -1));
}

static void dispositions(void)
{
    struct sigaction action, old;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    TELL(sigaction(0, &action, NULL));
    TELL(sigaction(99, &action, NULL));
    TELL(sigaction(SIGKILL, &action, NULL));
    TELL(sigaction(SIGSTOP, &action, NULL));
    TELL(sigaction(SIGTERM, NULL, NULL));
    TELL(sigaction(SIGTERM, NULL, &old));
    TELL(old.sa_handler);
    TELL(sigemptyset(&action.sa_mask));
    TELL(sigaction(SIGCHLD, &action, &old));
    TELL(old.sa_handler);
    TELL(sigaction(SIGCHLD, &old, NULL));
    TELL(sigaction(SIGWINCH, NULL, &old));
    TELL(signal(99, handler));
    TELL(signal(SIGKILL, handler));
    TELL(signal(SIGTERM, SIG_DFL));
    TELL(signal(SIGTERM, SIG_IGN));
    TELL(signal(SIGTERM, SIG_DFL));
    TELL(signal(SIGUSR1, handler) == SIG_DFL);
    TELL(signal(SIGUSR1, SIG_DFL) == handler);
    TELL(kill(getpid(), 0));
    TELL(kill(getpid(), 99));
}

static void programs(const char *directory)
{
    char path[1024], *argv[] = {path, NULL}, *environment[] = {NULL};
    pid_t pid = 0;
    int status = 0;
    snprintf(path, sizeof path, "%s/missing", directory);
    TELL(execve(path, argv, environment));
    TELL(execv(path, argv));
    TELL(posix_spawn(&pid, path, NULL, NULL, argv, environment));
    snprintf(path, sizeof path, "%s/forbidden", directory);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    TELL(posix_spawn(&pid, path, NULL, NULL, argv, environment));
    snprintf(path, sizeof path, "/bin/bash");
    char *three[] = {path, "-c", "exit 3", NULL};
    TELL(posix_spawn(&pid, path, NULL, NULL, three, environment));
    TELL(waitpid(pid, &status, 0) == pid);
    printf("%d\n", WEXITSTATUS(status));
}

#ifdef __APPLE__
static void darwin(const char *directory)
{
    char path[1024];
    struct proc_bsdinfo process;
    snprintf(path, sizeof path, "%s/link", directory);
    symlink("nowhere", path);
    TELL(lchflags(path, UF_NODUMP));
    TELL(chflags(path, UF_NODUMP));
    snprintf(path, sizeof path, "%s/missing", directory);
    TELL(lchflags(path, 0));
    TELL(lchflags(path, UF_NODUMP));
    TELL(chflags(path, 0));
    TELL(fchflags(-1, 0));
    TELL(proc_pidinfo(getpid(), PROC_PIDTBSDINFO, 0, &process, sizeof process));
    TELL(proc_pidinfo(getpid(), PROC_PIDTBSDINFO, 0, &process, 1));
    TELL(process.pbi_pid == (unsigned int)getpid());
}
#endif

int main(int words, char **word)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (words != 2)
        return 2;
    sockets();
    polls();
    dispositions();
    programs(word[1]);
#ifdef __APPLE__
    darwin(word[1]);
#endif
    puts("end");
    return 0;
}
