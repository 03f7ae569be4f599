/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's af_packet driver spreads frames over its queues by PACKET_FANOUT and always
 * adds PACKET_FANOUT_FLAG_DEFRAG: the kernel then puts IPv4 fragments together
 * before we see them. That loses datagrams larger than a buffer, which a router has
 * to pass on in fragments as they came, hides unfinished ones from every counter,
 * and lets outer fragments in on a WAN port. The driver has no option against it
 * (22.11 to 25.03), so the flag is taken out of its one call here: the driver's
 * reference to setsockopt binds to the program's own before the C library's.
 */
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int fanout;

	if (level == SOL_PACKET && name == PACKET_FANOUT && len == sizeof(fanout)) {
		fanout = *(const int *)value & ~(PACKET_FANOUT_FLAG_DEFRAG << 16);
		value = &fanout;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}
