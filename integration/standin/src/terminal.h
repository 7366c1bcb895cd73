/* The client's side of a running command: its descriptors, its terminal, its signals, its end. */

#ifndef STANDIN_TERMINAL_H
#define STANDIN_TERMINAL_H

struct terminal {
	int guest[3]; /* what the guest gets as stdin, stdout and stderr */
	int master;   /* our end of the guest's terminal, or -1 where stdin is none */
};

struct terminal open_terminal(void);

/* Waits for the command's end and gives its exit code. Until then every signal goes to the guest. */
int follow(int connection, const struct terminal *terminal);

#endif
