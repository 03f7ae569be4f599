/* SPDX-License-Identifier: BSD-3-Clause */
/* Armored files, as an operator may have damaged them. */
#include <lanemesh/trust.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char label[LM_LABEL_MAX + 1], *text = malloc(size + 1);
	struct lm_error err;
	uint8_t *out;
	size_t len;

	if (text == NULL)
		abort();
	/* No NUL after the text, and ASan right behind it. */
	memcpy(text + 1, data, size);
	if (lm_armor_decode("fuzz", text + 1, size, NULL, label, &out, &len, &err) == 0) {
		if (len == 0 || strlen(label) > LM_LABEL_MAX)
			abort();
		free(out);
	}
	if (lm_armor_decode("fuzz", text + 1, size, LM_LABEL_CERT, NULL, &out, &len, &err) == 0)
		free(out);
	free(text);
	return 0;
}
