/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_internal.h"

#include <errno.h>
#include <rte_config.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(LM_EAL_WORKERS_MAX < RTE_MAX_LCORE, "a lcore for each worker and the main thread");

/* lcore ids are ours to choose: they only name threads. 0 is the control thread. */
#define MAIN_LCORE 0u

static void arg(struct lm_eal_args *a, const char *fmt, ...) LM_PRINTF(2, 3);
static void arg(struct lm_eal_args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n < 0 || a->n >= LM_EAL_ARGS_MAX) {
		a->n = -1;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n], fmt, ap) < 0) {
		a->v[a->n] = NULL;
		a->n = -1;
	} else {
		a->n++;
	}
	va_end(ap);
}

void lm_eal_args_free(struct lm_eal_args *args)
{
	for (unsigned i = 0; i < LM_EAL_ARGS_MAX; i++)
		free(args->v[i]);
	*args = (struct lm_eal_args){0};
}

/* "0-3,8": ranges keep it short on large machines. */
static void write_cpus(FILE *f, const int *cpus, unsigned n)
{
	for (unsigned i = 0; i < n;) {
		unsigned k = i;

		while (k + 1 < n && cpus[k + 1] == cpus[k] + 1)
			k++;
		fprintf(f, "%s%d", i == 0 ? "" : ",", cpus[i]);
		if (k > i)
			fprintf(f, "-%d", cpus[k]);
		i = k + 1;
	}
}

static bool is_allowed(int cpu, const int *allowed, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (allowed[i] == cpu)
			return true;
	return false;
}

/* Every lcore is a thread of its own; several may share a CPU, and so may several instances. */
static char *lcores(const struct lm_eal *eal, const int *allowed, unsigned n_allowed)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	fprintf(f, "--lcores=%u@(", MAIN_LCORE);
	write_cpus(f, allowed, n_allowed);
	fputc(')', f);
	for (unsigned i = 0; i < eal->workers; i++) {
		if (eal->cpu[i] >= 0) {
			fprintf(f, ",%u@%d", eal->lcore[i], eal->cpu[i]);
			continue;
		}
		fprintf(f, ",%u@(", eal->lcore[i]);
		write_cpus(f, allowed, n_allowed);
		fputc(')', f);
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int assign(const struct lm_eal_config *cfg, const int *allowed, unsigned n_allowed,
		  struct lm_eal *out, struct lm_error *err)
{
	if (cfg->workers < 1 || cfg->workers > LM_EAL_WORKERS_MAX)
		return lm_error_set(err, EINVAL, "%u workers: 1 to %u are possible", cfg->workers,
				    LM_EAL_WORKERS_MAX);
	/* becomes a file name, and "%" a pattern */
	if (cfg->instance[0] == '\0' || strpbrk(cfg->instance, "/%") != NULL)
		return lm_error_set(err, EINVAL, "instance '%s': letters, digits, _ and - only",
				    cfg->instance);
	out->main_lcore = MAIN_LCORE;
	out->workers = cfg->workers;
	for (unsigned i = 0; i < cfg->workers; i++) {
		out->lcore[i] = MAIN_LCORE + 1 + i;
		out->cpu[i] = cfg->cpus != NULL ? cfg->cpus[i] : -1;
		if (out->cpu[i] >= 0 && !is_allowed(out->cpu[i], allowed, n_allowed))
			return lm_error_set(err, EINVAL,
					    "worker %u: CPU %d is not one that this process may "
					    "use; see taskset -p, CPUAffinity= and AllowedCPUs=",
					    i, out->cpu[i]);
	}
	for (unsigned i = 0; i < cfg->n_devices; i++)
		out->pci = out->pci || lm_devargs_is_pci(cfg->devices[i]);
	return 0;
}

int lm_eal_args_build(const struct lm_eal_config *cfg, const int *allowed, unsigned n_allowed,
		      bool hugepages, struct lm_eal *out, struct lm_eal_args *args,
		      struct lm_error *err)
{
	int rc = assign(cfg, allowed, n_allowed, out, err);
	char *cores;

	*args = (struct lm_eal_args){0};
	if (rc < 0)
		return rc;
	out->hugepages = hugepages;
	out->memory_mb = cfg->memory_mb != 0 ? cfg->memory_mb : LM_EAL_MEMORY_DEFAULT;
	cores = lcores(out, allowed, n_allowed);
	if (cores == NULL)
		return lm_error_set(err, ENOMEM, "out of memory");
	arg(args, "lanemeshd");
	arg(args, "%s", cores);
	free(cores);
	arg(args, "--main-lcore=%u", MAIN_LCORE);
	/* Several primaries on one host need a prefix each. Not --in-memory: it would exclude
	 * --no-huge (legacy memory in 22.11) and secondary processes such as dpdk-dumpcap. */
	arg(args, "--file-prefix=lanemesh-%s", cfg->instance);
	if (hugepages) {
		/* Taken as it is needed: the kernel clears every huge page, and doing so for all
		 * of the limit would cost seconds at the start of a virtual machine. */
		arg(args, "--socket-limit=%u", out->memory_mb);
	} else {
		arg(args, "-m");
		arg(args, "%u", out->memory_mb);
		arg(args, "--no-huge");
	}
	if (!out->pci) {
		arg(args, "--no-pci");
		arg(args, "--iova-mode=va");
	}
	/* Only the NICs in the config: others stay untouched even when bound to vfio-pci. */
	for (unsigned i = 0; i < cfg->n_devices; i++) {
		if (lm_devargs_is_pci(cfg->devices[i])) {
			arg(args, "-a");
			arg(args, "%s", cfg->devices[i]);
		}
	}
	if (args->n < 0) {
		lm_eal_args_free(args);
		return lm_error_set(err, ENOMEM,
				    "EAL arguments: out of memory, or more than %u "
				    "ports",
				    LM_CONFIG_PORTS_MAX);
	}
	return 0;
}
