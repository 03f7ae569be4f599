/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel loses before net_af_packet's ring. The driver of 22.11 never asks for it, and
 * later ones add what they read to imissed: reading sets the kernel's number to zero, so that each
 * lost packet is told once, to one of both, and their sum is right with either.
 */
#include "port_internal.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>

static bool option(int fd, int level, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return getsockopt(fd, level, name, value, &len) == 0;
}

/* The driver gives nobody its sockets, but they are ours: on this interface, with rings of version
 * 2, which nothing else in the process has. */
static bool is_ring_on(int fd, unsigned if_index)
{
	struct sockaddr_ll a = {0};
	socklen_t len = sizeof(a);
	int domain, version;

	return option(fd, SOL_SOCKET, SO_DOMAIN, &domain) && domain == AF_PACKET &&
	       getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
	       (unsigned)a.sll_ifindex == if_index &&
	       option(fd, SOL_PACKET, PACKET_VERSION, &version) && version == TPACKET_V2;
}

int lm_packet_sockets_find(struct lm_packet_sockets *s, unsigned if_index)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;

	if (d == NULL)
		return -errno;
	*s = (struct lm_packet_sockets){0};
	while ((e = readdir(d)) != NULL && s->n < LM_ARRAY_SIZE(s->fd)) {
		char *end;
		int fd = (int)strtol(e->d_name, &end, 10);

		if (*end == '\0' && is_ring_on(fd, if_index))
			s->fd[s->n++] = fd;
	}
	(void)closedir(d);
	return s->n > 0 ? 0 : -ENOENT;
}

uint64_t lm_packet_sockets_lost(struct lm_packet_sockets *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct tpacket_stats now;
		socklen_t len = sizeof(now);

		if (getsockopt(s->fd[i], SOL_PACKET, PACKET_STATISTICS, &now, &len) == 0)
			s->lost += now.tp_drops;
	}
	return s->lost;
}
