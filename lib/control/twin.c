/* SPDX-License-Identifier: BSD-3-Clause */
#include "twin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int lm_twin_open(const char *name, bool tap, int *fd, unsigned *ifindex, struct lm_error *err)
{
	struct ifreq ifr = {0};
	int f = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int code;

	if (f < 0)
		return lm_error_set(err, errno,
				    "cannot open /dev/net/tun: %s; load the module "
				    "'tun' and run as root",
				    strerror(errno));
	if (strlen(name) >= sizeof(ifr.ifr_name)) {
		close(f);
		return lm_error_set(err, EINVAL, "interface name '%s' is too long", name);
	}
	memcpy(ifr.ifr_name, name, strlen(name));
	/* Exclusive: never take over a persistent interface that somebody else made. */
	ifr.ifr_flags = (short)((tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI | IFF_TUN_EXCL);
	if (ioctl(f, TUNSETIFF, &ifr) < 0) {
		code = errno;
		close(f);
		return lm_error_set(err, code,
				    "cannot create interface '%s': %s; is another lanemeshd or "
				    "interface using that name?",
				    name, strerror(code));
	}
	*ifindex = if_nametoindex(name);
	if (*ifindex == 0) {
		code = errno;
		close(f);
		return lm_error_set(err, code, "interface '%s' vanished: %s", name, strerror(code));
	}
	*fd = f;
	return 0;
}

void lm_twin_carrier(int fd, bool up)
{
	int on = up;

	/* Kernels before 5.0 cannot; then the interface just stays up. */
	(void)ioctl(fd, TUNSETCARRIER, &on);
}

static int open_key(const char *family, const char *name, const char *key, int flags)
{
	char path[160];
	int f;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	f = open(path, flags | O_CLOEXEC);
	return f < 0 ? -errno : f;
}

int lm_twin_sysctl(const char *family, const char *name, const char *key, const char *value)
{
	int f = open_key(family, name, key, O_WRONLY);
	ssize_t n;

	if (f < 0)
		return f == -ENOENT ? 0 : f;
	n = write(f, value, strlen(value));
	close(f);
	return n < 0 ? -errno : 0;
}

int lm_twin_sysctl_get(const char *family, const char *name, const char *key)
{
	int f = open_key(family, name, key, O_RDONLY);
	char text[16];
	ssize_t n;

	if (f < 0)
		return f;
	n = read(f, text, sizeof(text) - 1);
	close(f);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return (int)strtol(text, NULL, 10);
}
