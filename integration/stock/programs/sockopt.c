/* How long the IP options of a socket are that has none. */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void)
{
    char options[200];
    socklen_t length = sizeof options;
    int answer = getsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_IP, IP_OPTIONS, options, &length);
    printf("%d %u\n", answer, (unsigned int)length);
    return 0;
}
