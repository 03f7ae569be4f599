/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MSS clamp: first two bytes the MTU, then the packet. Whatever it is, only MSS
 * values and one checksum may change, values only go down, a right checksum stays
 * right, and doing it again changes nothing.
 */
#include <lanemesh/fwd.h>
#include <lanemesh/wire.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ones-complement sum of the whole packet: equal before and after, as every change of an option is
 * taken back in the checksum. Holds when TCP starts at an even offset, which it always does. */
static uint16_t sum(const uint8_t *p, size_t len)
{
	uint16_t s = lm_csum_finish(lm_csum_add(0, p, len));

	return s == 0xffff ? 0 : s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *before, *after;
	uint16_t mtu;
	unsigned differ = 0;
	bool changed;

	if (size < 2 || size > 4096)
		return 0;
	mtu = (uint16_t)(data[0] << 8 | data[1]);
	data += 2;
	size -= 2;
	/* exact allocations, so that a sanitizer sees every byte too many */
	before = malloc(size + 1);
	after = malloc(size + (size == 0));
	if (before == NULL || after == NULL)
		abort();
	memcpy(before, data, size);
	memcpy(after, data, size);
	changed = lm_mss_clamp(after, size, mtu);
	for (size_t i = 0; i < size; i++)
		differ += before[i] != after[i];
	if ((!changed && differ > 0) || differ > 2 + 2 * 10)
		abort();
	if (sum(before, size) != sum(after, size))
		abort();
	if (lm_mss_clamp(after, size, mtu))
		abort();
	free(before);
	free(after);
	return 0;
}
