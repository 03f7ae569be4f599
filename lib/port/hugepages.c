/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define SIZES_MAX 8

/* "2048k", "2M", "1G" or plain bytes, as the kernel shows pagesize=. */
static uint64_t parse_kb(const char *text)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	switch (*end) {
	case 'G':
	case 'g':
		return v << 20;
	case 'M':
	case 'm':
		return v << 10;
	case 'K':
	case 'k':
		return v;
	default:
		return v >> 10;
	}
}

/* Page sizes in kB that are mounted. A mount without pagesize= has the default one, 2 MB on the
 * platforms that DPDK's Debian packages are for. */
static unsigned mounted_sizes(const char *mounts, uint64_t kb[SIZES_MAX])
{
	FILE *f = setmntent(mounts, "r");
	struct mntent *m;
	unsigned n = 0;

	if (f == NULL)
		return 0;
	while (n < SIZES_MAX && (m = getmntent(f)) != NULL) {
		const char *opt;

		if (strcmp(m->mnt_type, "hugetlbfs") != 0)
			continue;
		opt = strstr(m->mnt_opts, "pagesize=");
		kb[n++] = opt != NULL ? parse_kb(opt + strlen("pagesize=")) : 2048;
	}
	endmntent(f);
	return n;
}

static uint64_t read_number(const char *dir, const char *entry, const char *file)
{
	char path[512], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, entry, file);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(text, sizeof(text), f) == NULL)
		text[0] = '\0';
	fclose(f);
	return strtoull(text, NULL, 10);
}

uint64_t lm_hugepages_free_mb(const char *sys, const char *mounts, bool *mounted)
{
	uint64_t sizes[SIZES_MAX], total_kb = 0;
	unsigned n = mounted_sizes(mounts, sizes);
	DIR *d = opendir(sys);
	struct dirent *e;

	*mounted = n > 0;
	while (d != NULL && (e = readdir(d)) != NULL) {
		uint64_t kb;

		if (sscanf(e->d_name, "hugepages-%" SCNu64 "kB", &kb) != 1)
			continue;
		for (unsigned i = 0; i < n; i++) {
			if (sizes[i] == kb) {
				total_kb += kb * read_number(sys, e->d_name, "free_hugepages");
				break;
			}
		}
	}
	if (d != NULL)
		closedir(d);
	return total_kb >> 10;
}

static bool in_use(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	bool used = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0;

	if (fd >= 0)
		close(fd);
	return used;
}

void lm_hugepages_remove(const char *mounts, const char *prefix, bool abandoned)
{
	FILE *f = setmntent(mounts, "r");
	struct mntent *m;

	while (f != NULL && (m = getmntent(f)) != NULL) {
		DIR *d = strcmp(m->mnt_type, "hugetlbfs") == 0 ? opendir(m->mnt_dir) : NULL;
		struct dirent *e;
		size_t n = strlen(prefix);

		while (d != NULL && (e = readdir(d)) != NULL)
			if (strncmp(e->d_name, prefix, n) == 0 &&
			    strncmp(e->d_name + n, "map_", 4) == 0 &&
			    !(abandoned && in_use(dirfd(d), e->d_name)))
				(void)unlinkat(dirfd(d), e->d_name, 0);
		if (d != NULL)
			closedir(d);
	}
	if (f != NULL)
		endmntent(f);
}
