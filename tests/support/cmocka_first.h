/*
 * cmocka_first - cmocka with the headers that it needs before itself.
 */
#ifndef SUPPORT_CMOCKA_FIRST_H
#define SUPPORT_CMOCKA_FIRST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
