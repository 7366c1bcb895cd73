#define _GNU_SOURCE
#include "common.h"
#include "terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct termios before;
static int signal_connection = -1, signal_master = -1;

static void restore(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

struct terminal open_terminal(void)
{
	struct terminal terminal = {.guest = {0, 1, 2}, .master = -1};
	struct winsize size;
	int slave;
	if (!isatty(STDIN_FILENO))
		return terminal;
	if (tcgetattr(STDIN_FILENO, &before) < 0 || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 ||
	    openpty(&terminal.master, &slave, NULL, &before, &size) < 0)
		die("openpty");
	for (int fd = 0; fd < 3; fd++)
		if (isatty(fd))
			terminal.guest[fd] = slave;
	struct termios raw = before;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	atexit(restore);
	return terminal;
}

/* Without a terminal this is why TERM and INT are swallowed: the guest's side aims at a process group that does
   not exist, and the client itself has caught the signal. */
static void forward(int signal)
{
	struct winsize size;
	if (signal == SIGWINCH && signal_master != -1 && ioctl(0, TIOCGWINSZ, &size) == 0)
		ioctl(signal_master, TIOCSWINSZ, &size);
	if (signal == SIGINT && signal_master == -1)
		signal = SIGTERM;
	(void)!write(signal_connection, &signal, sizeof signal);
}

static void catch_all(int connection, int master)
{
	struct sigaction action = {.sa_handler = forward};
	sigfillset(&action.sa_mask);
	signal_connection = connection;
	signal_master = master;
	for (int signal = 1; signal < 32; signal++)
		sigaction(signal, &action, NULL);
}

/* Copies what is there now; tells whether there may be more to come. */
static int copy(int from, int to)
{
	char buffer[4096];
	ssize_t n = read(from, buffer, sizeof buffer);
	return n > 0 && write_exactly(to, buffer, (size_t)n) == 0;
}

int follow(int connection, const struct terminal *terminal)
{
	int master = terminal->master, status = 1;
	struct pollfd watched[3] = {
		{.fd = connection, .events = POLLIN},
		{.fd = master, .events = POLLIN},
		{.fd = master == -1 ? -1 : STDIN_FILENO, .events = POLLIN},
	};
	catch_all(connection, master);
	for (;;) {
		if (poll(watched, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		if (watched[1].revents && !copy(master, STDOUT_FILENO))
			watched[1].fd = -1;
		if (watched[2].revents && !copy(STDIN_FILENO, master))
			watched[2].fd = -1;
		if (watched[0].revents && !(watched[1].revents & POLLIN))
			break;
	}
	/* no status: the guest's supervisor was killed together with the command */
	return read_exactly(connection, &status, sizeof status) < 0 ? 1 : status;
}
