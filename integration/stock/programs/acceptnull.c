/* acceptnull inet|unix: a connection is accepted by one who does not ask whose it is, and then by one who asks. */
#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

typedef union {
    struct sockaddr any;
    struct sockaddr_in inet;
    struct sockaddr_un local;
} Address;

static socklen_t address_of(Address *address, int inet)
{
    memset(address, 0, sizeof *address);
    address->any.sa_family = (sa_family_t)(inet ? AF_INET : AF_UNIX);
    if (inet) {
        address->inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof address->inet;
    }
    snprintf(address->local.sun_path, sizeof address->local.sun_path, "/tmp/accept-%d", (int)getpid());
    return sizeof address->local;
}

/* The kernel completes a connection before it is accepted: no second process is needed. */
static int connected(const Address *address, socklen_t length)
{
    int client = socket(address->any.sa_family, SOCK_STREAM, 0);
    if (connect(client, &address->any, length) == 0)
        return client;
    perror("connect");
    _exit(1);
}

static void exchange(const char *who, int client, int server)
{
    char got = 0;
    int right = server >= 0 && write(client, "?", 1) == 1 && read(server, &got, 1) == 1 && got == '?'
                && write(server, "!", 1) == 1 && read(client, &got, 1) == 1 && got == '!';
    printf("%s: %s\n", who, right ? "served" : "not served");
    close(client);
    close(server);
}

static void experiment(void *with)
{
    int inet = *(int *)with;
    Address address, peer;
    socklen_t length = address_of(&address, inet), peer_length = sizeof peer;
    int listener = socket(address.any.sa_family, SOCK_STREAM, 0);
    if (bind(listener, &address.any, length) != 0 || listen(listener, 2) != 0)
        return perror("listen");
    if (inet && getsockname(listener, &address.any, &length) != 0)
        return perror("getsockname");
    int client = connected(&address, length);
    exchange("unasked", client, accept(listener, NULL, NULL));
    client = connected(&address, length);
    int server = accept(listener, &peer.any, &peer_length);
    printf("family: %s\n", peer.any.sa_family == address.any.sa_family ? "right" : "wrong");
    exchange("asked", client, server);
    if (!inet)
        unlink(address.local.sun_path);
}

int main(int words, char **word)
{
    unbuffered();
    int inet = words == 2 && strcmp(word[1], "inet") == 0;
    tell_end("group", in_a_group(experiment, &inet));
    return 0;
}
