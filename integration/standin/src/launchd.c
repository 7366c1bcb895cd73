/* The guest's pid 1, with shellspawn in it: takes commands from the launcher and supervises each. */

#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct command {
	struct request head;
	int fds[3];
	char *directory;
	char **arguments;
	char **environment;
};

static void receive_head(int connection, struct command *command)
{
	union {
		char space[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct iovec part = {.iov_base = &command->head, .iov_len = sizeof command->head};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space,
	                         .msg_controllen = sizeof control.space};
	if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof command->head)
		_exit(1);
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	if (!rights || rights->cmsg_len != CMSG_LEN(sizeof command->fds))
		_exit(1);
	memcpy(command->fds, CMSG_DATA(rights), sizeof command->fds);
}

/* Cuts the body into its strings: the directory, the arguments, the environment. */
static void receive(int connection, struct command *command)
{
	receive_head(connection, command);
	size_t length = command->head.length, room = command->head.arguments + 3;
	char *body = malloc(length + 1), *at = body, *end = body + length;
	if (!body || read_exactly(connection, body, length) < 0)
		_exit(1);
	*end = '\0';
	char **argument = command->arguments = calloc(room, sizeof(char *));
	char **variable = command->environment = calloc(length + 1, sizeof(char *));
	if (!argument || !variable)
		_exit(1);
	if (!command->head.plain) {
		*argument++ = "/bin/bash";
		*argument++ = "--login";
	}
	command->directory = at;
	at += strlen(at) + 1;
	for (uint32_t i = 0; i < command->head.arguments && at < end; i++, at += strlen(at) + 1)
		*argument++ = at;
	for (; at < end; at += strlen(at) + 1)
		*variable++ = at;
}

static pid_t start(const struct command *command)
{
	(void)!chdir(command->directory);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(command->fds[fd], fd);
	ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	int failed[2];
	char sign;
	if (pipe2(failed, O_CLOEXEC) < 0)
		_exit(1);
	pid_t child = fork();
	if (child == 0) {
		execve(command->arguments[0], command->arguments, command->environment);
		(void)!write(failed[1], "!", 1);
		_exit(1);
	}
	close(failed[1]);
	if (read(failed[0], &sign, 1) == 1)
		_exit(1); /* without a status: the client ends with 1 */
	close(failed[0]);
	/* the command's own reader must see the end of its input and output: we hold none of them, but the
	   terminal, whose foreground group we ask for */
	for (int fd = 0; fd < 3; fd++) {
		close(command->fds[fd]);
		if (!isatty(fd))
			close(fd);
	}
	return child;
}

static void pass_on(int signal, pid_t child)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);
	if (foreground > 0)
		kill(-foreground, signal);
	else
		/* no such group: the child lives in ours. The signal is lost, as it is with the real one */
		kill(-child, signal);
}

/* One command: a session and a process group of its own, in which this supervisor lives too. A signal that is
   fatal to the group ends it as well, and then the client gets no status. */
static void supervise(int connection)
{
	struct command command;
	int signal, status = 0;
	receive(connection, &command);
	pid_t child = start(&command);
	struct pollfd watched[2] = {
		{.fd = connection, .events = POLLIN},
		{.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN},
	};
	while (poll(watched, 2, -1) >= 0 || errno == EINTR) {
		if (watched[1].revents)
			break;
		if (!watched[0].revents)
			continue;
		if (read_exactly(connection, &signal, sizeof signal) < 0)
			break;
		pass_on(signal, child);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	/* of a child that a signal killed these bits are 0: that is the launcher's rc 0 after SIGKILL */
	status = WEXITSTATUS(status);
	(void)!write(connection, &status, sizeof status);
}

int main(int argc, char **argv)
{
	int listener = argc > 1 ? atoi(argv[1]) : -1;
	/* children reap themselves; as pid 1 it has no other signal to care about, TERM is ignored by the kernel */
	signal(SIGCHLD, SIG_IGN);
	if (listener < 0)
		for (;;)
			pause();
	fcntl(listener, F_SETFD, FD_CLOEXEC);
	for (;;) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0)
			continue;
		if (fork() == 0) {
			signal(SIGCHLD, SIG_DFL);
			close(listener);
			supervise(connection);
			_exit(0);
		}
		close(connection);
	}
}
