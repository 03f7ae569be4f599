/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_pdump.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SYS_HUGEPAGES "/sys/kernel/mm/hugepages"
#define MOUNTS	      "/proc/mounts"

static unsigned allowed_cpus(int *cpus, unsigned cap)
{
	cpu_set_t set;
	unsigned n = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	for (int i = 0; i < CPU_SETSIZE && n < cap; i++)
		if (CPU_ISSET(i, &set))
			cpus[n++] = i;
	return n;
}

/* Sets *use. An error only when the operator insists on huge pages that are not there. */
static int choose_hugepages(const struct lm_eal_config *cfg, bool *use, struct lm_error *err)
{
	unsigned need = cfg->memory_mb != 0 ? cfg->memory_mb : LM_EAL_MEMORY_DEFAULT;
	char prefix[LM_INSTANCE_MAX + 16];
	uint64_t have = 0;
	bool mounted = false;

	*use = false;
	if (cfg->hugepages == LM_HUGEPAGES_NO)
		return 0;
	/* What this instance left when it was killed would not count as free. */
	(void)snprintf(prefix, sizeof(prefix), "lanemesh-%s", cfg->instance);
	lm_hugepages_remove(MOUNTS, prefix, true);
	have = lm_hugepages_free_mb(SYS_HUGEPAGES, MOUNTS, &mounted);
	*use = have >= need;
	if (*use)
		return 0;
	if (cfg->hugepages == LM_HUGEPAGES_YES)
		return lm_error_set(err, ENOMEM,
				    "huge pages: %u MB are needed, %llu MB are free%s; reserve "
				    "them with drivers-config/hugepages, or set hugepages to "
				    "\"auto\"",
				    need, (unsigned long long)have,
				    mounted ? "" : " and mounted on a hugetlbfs");
	lm_log(cfg->log, LM_LOG_INFO,
	       "no huge pages (%u MB needed, %llu MB free): running without, somewhat slower; "
	       "drivers-config/hugepages reserves them",
	       need, (unsigned long long)have);
	return 0;
}

/* Packet capture with dpdk-dumpcap. A secondary process can only attach to huge pages. */
static void start_pdump(const struct lm_eal *eal, const struct lm_log *log)
{
	if (eal->hugepages && rte_pdump_init() < 0)
		lm_log(log, LM_LOG_WARN, "dpdk-dumpcap will not work: %s", rte_strerror(rte_errno));
}

static int start_failed(const struct lm_eal_config *cfg, const struct lm_eal *eal,
			struct lm_error *err)
{
	const char *why = lm_eal_log_last_error(eal->log);
	int code = rte_errno != 0 ? rte_errno : EIO;

	if (strstr(why, "primary process") != NULL)
		return lm_error_set(err, EBUSY, "DPDK: another lanemeshd runs as instance '%s'",
				    cfg->instance);
	if (geteuid() != 0)
		return lm_error_set(err, code, "DPDK does not start: %s; run as root",
				    why[0] != '\0' ? why : rte_strerror(code));
	return lm_error_set(err, code, "DPDK does not start: %s",
			    why[0] != '\0' ? why : rte_strerror(code));
}

int lm_eal_start(const struct lm_eal_config *cfg, struct lm_eal *out, struct lm_error *err)
{
	int cpus[CPU_SETSIZE];
	struct lm_eal_args args;
	char *argv[LM_EAL_ARGS_MAX + 1];
	unsigned n = allowed_cpus(cpus, CPU_SETSIZE);
	bool huge;
	int rc;

	*out = (struct lm_eal){0};
	rc = choose_hugepages(cfg, &huge, err);
	if (rc < 0)
		return rc;
	rc = lm_eal_args_build(cfg, cpus, n, huge, out, &args, err);
	if (rc < 0)
		return rc;
	out->log = lm_eal_log_start(cfg->log);
	if (out->log == NULL) {
		lm_eal_args_free(&args);
		return lm_error_set(err, ENOMEM, "out of memory");
	}
	/* EAL permutes its arguments and keeps copies. */
	memcpy(argv, args.v, sizeof(argv));
	rc = rte_eal_init(args.n, argv);
	lm_eal_args_free(&args);
	if (rc < 0) {
		rc = start_failed(cfg, out, err);
		lm_eal_log_stop(out->log);
		out->log = NULL;
		return rc;
	}
	start_pdump(out, cfg->log);
	return 0;
}

/* EAL leaves its files behind for secondary processes that may come; ours will not. */
static void remove_runtime_files(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' || (e->d_name[1] != '\0' && e->d_name[1] != '.'))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(path);
}

void lm_eal_stop(struct lm_eal *eal)
{
	char *dir = strdup(rte_eal_get_runtime_dir()); /* its last part is the file prefix */

	if (eal->hugepages)
		(void)rte_pdump_uninit();
	(void)rte_eal_cleanup();
	if (dir != NULL) {
		remove_runtime_files(dir);
		if (eal->hugepages)
			lm_hugepages_remove(MOUNTS, strrchr(dir, '/') + 1, false);
	}
	free(dir);
	lm_eal_log_stop(eal->log);
	eal->log = NULL;
}
