/* version - what --version says. */
#ifndef PROC_VERSION_H
#define PROC_VERSION_H

#define ROUNDHOUSE_VERSION "0.1.0"

#endif
