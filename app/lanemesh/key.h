/* SPDX-License-Identifier: BSD-3-Clause */
/* Secret key files, for the commands that make or show them. */
#ifndef APP_LANEMESH_KEY_H
#define APP_LANEMESH_KEY_H

#include "cli.h"

#include <lanemesh/trust.h>

/* Makes a key, writes its file, prints the public half. Exit code. */
int cli_key_create(const struct cli *cli, const char *path, const char *label);
/* Prints the public half of a key file. Exit code. */
int cli_key_show(const struct cli *cli, const char *path, const char *label);

#endif
