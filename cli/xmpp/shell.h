/*
 * shell - `xmpp shell`: a prompt in which the guides' command lines work as printed. Each line runs
 * a real program that lies beside this one, without a shell in between.
 */
#ifndef CLI_XMPP_SHELL_H
#define CLI_XMPP_SHELL_H

int shell_run(const void *values, int argc, char **argv);

#endif
