/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define AF_PACKET_QPAIRS   16u	 /* the driver's limit */
#define AF_PACKET_FRAME	   2048u /* its default, of which this much is header: */
#define AF_PACKET_OVERHEAD 128u
#define AF_PACKET_FRAMES   2048u /* on all queues of a port; */
#define AF_PACKET_LEAST	   512u	 /* on one: the driver's default */
#define ETHER_OVERHEAD	   18u	 /* header and one VLAN tag */
#define PAGE		   4096u

static const char *skip_bus(const char *devargs, const char *bus)
{
	size_t n = strlen(bus);

	return strncmp(devargs, bus, n) == 0 ? devargs + n : devargs;
}

static bool hex_digits(const char **p, unsigned max)
{
	unsigned n = 0;

	while (n < max && isxdigit((unsigned char)**p)) {
		(*p)++;
		n++;
	}
	return n > 0;
}

static bool pci_address(const char *p, bool domain)
{
	if (domain && (!hex_digits(&p, 8) || *p++ != ':'))
		return false;
	if (!hex_digits(&p, 2) || *p++ != ':' || !hex_digits(&p, 2) || *p++ != '.')
		return false;
	if (*p < '0' || *p > '7')
		return false;
	p++;
	return *p == '\0' || *p == ',';
}

bool lm_devargs_is_pci(const char *devargs)
{
	const char *p = skip_bus(devargs, "pci:");

	return pci_address(p, true) || pci_address(p, false);
}

int lm_devargs_name(const char *devargs, char *out, size_t cap)
{
	const char *p = skip_bus(skip_bus(devargs, "pci:"), "vdev:");
	size_t n = strcspn(p, ",");
	bool short_pci = lm_devargs_is_pci(devargs) && !pci_address(p, true);
	int len = snprintf(out, cap, "%s%.*s", short_pci ? "0000:" : "", (int)n, p);

	return n == 0 || len < 0 || (size_t)len >= cap ? -EINVAL : 0;
}

/* What stands behind "key=", or NULL. */
static const char *option(const char *devargs, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = strchr(devargs, ','); p != NULL; p = strchr(p + 1, ','))
		if (strncmp(p + 1, key, n) == 0 && p[1 + n] == '=')
			return p + 1 + n + 1;
	return NULL;
}

/* The driver takes its ring for one array of frames, so they must fill the kernel's blocks. */
static bool frames_ok(const char *devargs, unsigned frame)
{
	const char *framesz = option(devargs, "framesz"), *blocksz = option(devargs, "blocksz");
	unsigned long f = framesz != NULL ? strtoul(framesz, NULL, 10) : AF_PACKET_FRAME;
	unsigned long b = blocksz != NULL ? strtoul(blocksz, NULL, 10) : PAGE;

	return f >= frame && b >= f && b % f == 0;
}

static unsigned af_packet_queues(const char *devargs, unsigned workers)
{
	const char *set = option(devargs, "qpairs");
	unsigned long n = set != NULL ? strtoul(set, NULL, 10) : workers;

	return n < 1 ? 1 : n > AF_PACKET_QPAIRS ? AF_PACKET_QPAIRS : (unsigned)n;
}

/* What net_af_packet is to be told beside what the devargs say. 0, -EMSGSIZE. */
static int af_packet_options(const char *devargs, unsigned workers, uint16_t mtu, char *out,
			     size_t cap)
{
	unsigned frame = mtu + ETHER_OVERHEAD + AF_PACKET_OVERHEAD;
	unsigned pages = (frame + PAGE - 1) / PAGE * PAGE, queues, frames;
	bool sized = option(devargs, "framesz") != NULL || option(devargs, "blocksz") != NULL;
	bool jumbo = frame > AF_PACKET_FRAME && !sized;
	int n = 0;

	if (!jumbo && !frames_ok(devargs, frame))
		return -EMSGSIZE;
	queues = af_packet_queues(devargs, workers);
	if (queues > 1 && option(devargs, "qpairs") == NULL)
		n += snprintf(out, cap, ",qpairs=%u", queues);
	if (jumbo)
		n += snprintf(out + n, cap - (size_t)n, ",framesz=%u,blocksz=%u", pages, pages);
	/* The ring must hold what arrives while the worker sleeps, or waits for a CPU: with the
	 * driver's 512 frames, and a CPU for two, one TCP flow lost 5 % of its packets there. */
	frames = AF_PACKET_FRAMES / queues;
	if (!jumbo && !sized && frames > AF_PACKET_LEAST && option(devargs, "framecnt") == NULL)
		snprintf(out + n, cap - (size_t)n, ",framecnt=%u", frames);
	return 0;
}

int lm_devargs_complete(const char *devargs, unsigned workers, uint16_t mtu, char *out, size_t cap)
{
	char more[64] = "";
	int rc = 0, len;

	if (strncmp(skip_bus(devargs, "vdev:"), LM_AF_PACKET, strlen(LM_AF_PACKET)) == 0)
		rc = af_packet_options(devargs, workers, mtu, more, sizeof(more));
	if (rc < 0)
		return rc;
	len = snprintf(out, cap, "%s%s", devargs, more);
	return len < 0 || (size_t)len >= cap ? -EINVAL : 0;
}
