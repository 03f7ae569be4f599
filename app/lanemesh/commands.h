/* SPDX-License-Identifier: BSD-3-Clause */
/* Every command, each in the file of its name. */
#ifndef APP_LANEMESH_COMMANDS_H
#define APP_LANEMESH_COMMANDS_H

#include "cli.h"

extern const struct cli_command cli_authority_create;
extern const struct cli_command cli_check_config;
extern const struct cli_command cli_drops;
extern const struct cli_command cli_inspect;
extern const struct cli_command cli_keygen;
extern const struct cli_command cli_netcheck;
extern const struct cli_command cli_peers;
extern const struct cli_command cli_ping;
extern const struct cli_command cli_ports;
extern const struct cli_command cli_reload;
extern const struct cli_command cli_revoke;
extern const struct cli_command cli_relays;
extern const struct cli_command cli_routes;
extern const struct cli_command cli_sa;
extern const struct cli_command cli_sign;
extern const struct cli_command cli_status;
extern const struct cli_command cli_workers;
extern const struct cli_command cli_why;

#endif
