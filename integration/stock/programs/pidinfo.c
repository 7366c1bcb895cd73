/* Ask for the open files of the process as OpenSSH's closefrom() does; what is answered goes to stderr. Darwin only. */
#include <libproc.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    int answer = proc_pidinfo(getpid(), PROC_PIDLISTFDS, 0, NULL, 0);
    fprintf(stderr, "%d\n", answer);
    puts("done");
    return 0;
}
