/*
 * script - a connection manager that does what it is told: a command a line on stdin, what happens
 * a line on stdout (tests/process/test_domains.py). Instances called script*.
 */
#ifndef TEST_ECHO_SCRIPT_H
#define TEST_ECHO_SCRIPT_H

struct proc;
struct script;

struct script *script_new(struct proc *p);
void script_free(struct script **sp);

#endif
