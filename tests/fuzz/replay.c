/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main() of the fuzz targets where libFuzzer is not built in: feeds every file
 * of the corpus folders given as arguments, all its prefixes (in steps for long
 * files), and copies with one byte changed, the same ones each time. Each goes
 * into a block of exactly its size, so that ASan sees a read beyond it.
 */
#include "fuzz.h"

#include <dirent.h>
#include <lanemesh/base.h>

#define MAX   (1024 * 1024)
#define TRIES 512

static void one(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	FUZZ_CHECK(copy != NULL);
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void mutate(uint8_t *data, size_t len)
{
	static const uint8_t changes[] = {0x01, 0x80, 0xff};
	size_t step = len / TRIES + 1;

	for (size_t n = 0; n <= len; n += step)
		one(data, n);
	for (size_t i = 0; i < len; i += step)
		for (size_t c = 0; c < LM_ARRAY_SIZE(changes); c++) {
			data[i] ^= changes[c];
			one(data, len);
			data[i] ^= changes[c];
		}
}

static unsigned replay_folder(const char *folder)
{
	struct dirent *entry;
	struct lm_error err;
	unsigned n = 0;
	DIR *dir = opendir(folder);

	if (dir == NULL) {
		perror(folder);
		exit(1);
	}
	while ((entry = readdir(dir)) != NULL) {
		char path[4096];
		uint8_t *data;
		size_t len;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (lm_file_read(path, MAX, &data, &len, &err) != 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		one(data, len);
		mutate(data, len);
		free(data);
		n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++)
		n += replay_folder(argv[i]);
	printf("%u files\n", n);
	return n > 0 ? 0 : 1;
}
