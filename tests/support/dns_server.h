/*
 * dns_server - a DNS server on 127.0.0.1 that misbehaves on order, for tests in C.
 *
 * UDP and TCP on one free port, in a thread of its own. The first label of the name asked decides:
 *   servfail refused notimp nx empty   that code (nx: NXDOMAIN; empty: no record)
 *   silent garbage wrongid             no answer; 30 bytes of nothing; the answer of another
 * question slow                               A 127.0.0.1 after 700 ms cut bad a message cut short;
 * records with too little in them trunc                              truncated over UDP; over TCP A
 * 127.0.0.1 many dot mixed                     SRV: 60 targets; "."; "." and a good one toalias SRV
 * to alias.example.org alias loop                         CNAME to plain.example.org; to itself v6
 * AAAA ::1 only v4slow6                            A 127.0.0.1 at once, AAAA never anything else A
 * 127.0.0.1, AAAA ::1, SRV 10 50 5222 plain.example.org
 */
#ifndef TESTS_SUPPORT_DNS_SERVER_H
#define TESTS_SUPPORT_DNS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct dns_server_thread;

struct dns_server_thread *dns_server_start(void);
void dns_server_stop(struct dns_server_thread **sp);

uint16_t dns_server_port(const struct dns_server_thread *s);
const char *dns_server_name(const struct dns_server_thread *s); /* "127.0.0.1@PORT" */
unsigned int dns_server_asked(const struct dns_server_thread *s);
/* Of the names "repair..." nothing is known until this. */
void dns_server_repair(struct dns_server_thread *s);

#endif
