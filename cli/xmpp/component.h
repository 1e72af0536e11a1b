/*
 * component - `xmpp component ...`: accounts of components (XEP-0114) with all that they have.
 */
#ifndef CLI_XMPP_COMPONENT_H
#define CLI_XMPP_COMPONENT_H

/* Commands: values is a struct xmpp_values; the result an enum command_exit. */
int component_add(const void *values, int argc, char **argv);
int component_set(const void *values, int argc, char **argv);
int component_del(const void *values, int argc, char **argv);
int component_list(const void *values, int argc, char **argv);
int component_show(const void *values, int argc, char **argv);

#endif
