/*
 * banned - functions that this house does not use, and what to use instead.
 *
 * Force-included into every file of ours by the Makefile (-include). str.h and snprintf() do the
 * same work with a bound.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <string.h>
#include <strings.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets

#endif
