/* SPDX-License-Identifier: BSD-3-Clause */
/* What is made of the configuration before DPDK sees it. */
#include "port_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void pci_or_not(void **state)
{
	static const char *const yes[] = {"0000:03:00.0", "03:00.0", "pci:0000:3:0.7",
					  "0000:03:00.1,representor=[0]", "10000:e1:00.0"},
				 *const no[] = {"",
						"net_tap0",
						"0000:03:00",
						"0000:03:00.8",
						"03:00.0x",
						"net_af_packet0,iface=03:00.0",
						"vdev:net_tap0",
						":03:00.0",
						"0000:03:00.0 "};
	char name[64];

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(yes); i++)
		assert_true(lm_devargs_is_pci(yes[i]));
	for (unsigned i = 0; i < LM_ARRAY_SIZE(no); i++)
		assert_false(lm_devargs_is_pci(no[i]));
	assert_int_equal(lm_devargs_name("03:00.0", name, sizeof(name)), 0);
	assert_string_equal(name, "0000:03:00.0");
	assert_int_equal(lm_devargs_name("pci:0000:03:00.1,a=b", name, sizeof(name)), 0);
	assert_string_equal(name, "0000:03:00.1");
	assert_int_equal(lm_devargs_name("vdev:net_tap0,iface=x", name, sizeof(name)), 0);
	assert_string_equal(name, "net_tap0");
	assert_int_equal(lm_devargs_name("", name, sizeof(name)), -EINVAL);
	assert_int_equal(lm_devargs_name(",iface=x", name, sizeof(name)), -EINVAL);
	assert_int_equal(lm_devargs_name("net_tap0", name, 8), -EINVAL);
}

static void completed(void **state)
{
	static const struct {
		const char *in;
		unsigned workers;
		uint16_t mtu;
		const char *out;
	} cases[] = {
	    {"net_af_packet0,iface=a", 2, 1500, "net_af_packet0,iface=a,qpairs=2,framecnt=1024"},
	    {"net_af_packet0,iface=a", 1, 1500, "net_af_packet0,iface=a,framecnt=2048"},
	    {"net_af_packet0,iface=a,framecnt=256", 1, 1500, "net_af_packet0,iface=a,framecnt=256"},
	    {"net_af_packet0,iface=a,qpairs=4", 1, 1500, "net_af_packet0,iface=a,qpairs=4"},
	    {"net_af_packet0,iface=a", 64, 1500, "net_af_packet0,iface=a,qpairs=16"},
	    {"net_af_packet0,iface=a,qpairs=1", 4, 1500,
	     "net_af_packet0,iface=a,qpairs=1,framecnt=2048"},
	    {"net_af_packet0,iface=a", 1, 9000,
	     "net_af_packet0,iface=a,framesz=12288,blocksz=12288"},
	    {"vdev:net_af_packet0,iface=a,framesz=4096,blocksz=65536", 2, 3000,
	     "vdev:net_af_packet0,iface=a,framesz=4096,blocksz=65536,qpairs=2"},
	    {"net_af_packet0,iface=a,framesz=16384,blocksz=16384", 1, 9000,
	     "net_af_packet0,iface=a,framesz=16384,blocksz=16384"},
	    {"net_tap0,iface=a", 4, 9000, "net_tap0,iface=a"},
	    {"0000:03:00.0", 4, 9000, "0000:03:00.0"},
	};
	static const char *const wrong[] = {"net_af_packet0,iface=a,framesz=1024",
					    "net_af_packet0,iface=a,framesz=0",
					    "net_af_packet0,iface=a,framesz=3072,blocksz=4096",
					    "net_af_packet0,iface=a,blocksz=3000"};
	char out[128];

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++) {
		assert_int_equal(lm_devargs_complete(cases[i].in, cases[i].workers, cases[i].mtu,
						     out, sizeof(out)),
				 0);
		assert_string_equal(out, cases[i].out);
	}
	assert_int_equal(lm_devargs_complete("net_tap0", 1, 1500, out, 8), -EINVAL);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(wrong); i++)
		assert_int_equal(lm_devargs_complete(wrong[i], 1, 1500, out, sizeof(out)),
				 -EMSGSIZE);
}

/* Joined with spaces, without the program's name. */
static void join(const struct lm_eal_args *a, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 1; i < a->n; i++)
		n += (size_t)snprintf(out + n, cap - n, "%s%s", i > 1 ? " " : "", a->v[i]);
	assert_true(n < cap);
}

static void arguments(void **state)
{
	static const int allowed[] = {0, 1, 2, 5}, cpus[] = {1, 1, 5}, wrong[] = {1, 3};
	static const char *const vdev[] = {"net_tap0"}, *const pci[] = {"net_tap0", "03:00.0,x=y"};
	struct lm_eal_config cfg = {
	    .instance = "gw1", .workers = 3, .cpus = cpus, .devices = vdev, .n_devices = 1};
	struct lm_eal_args args;
	struct lm_error err;
	struct lm_eal eal = {0};
	char text[512];

	(void)state;
	assert_int_equal(lm_eal_args_build(&cfg, allowed, 4, false, &eal, &args, &err), 0);
	join(&args, text, sizeof(text));
	assert_string_equal(text, "--lcores=0@(0-2,5),1@1,2@1,3@5 --main-lcore=0 "
				  "--file-prefix=lanemesh-gw1 -m 256 --no-huge --no-pci "
				  "--iova-mode=va");
	assert_int_equal(eal.lcore[2], 3);
	assert_int_equal(eal.cpu[2], 5);
	assert_false(eal.pci);
	lm_eal_args_free(&args);

	cfg.devices = pci;
	cfg.n_devices = 2;
	cfg.workers = 1;
	cfg.cpus = NULL;
	cfg.memory_mb = 64;
	eal = (struct lm_eal){0};
	assert_int_equal(lm_eal_args_build(&cfg, allowed, 4, true, &eal, &args, &err), 0);
	join(&args, text, sizeof(text));
	assert_string_equal(text, "--lcores=0@(0-2,5),1@(0-2,5) --main-lcore=0 "
				  "--file-prefix=lanemesh-gw1 --socket-limit=64 -a 03:00.0,x=y");
	assert_true(eal.pci);
	assert_int_equal(eal.cpu[0], -1);
	lm_eal_args_free(&args);

	cfg.cpus = wrong;
	cfg.workers = 2;
	assert_int_equal(lm_eal_args_build(&cfg, allowed, 4, true, &eal, &args, &err), -EINVAL);
	assert_non_null(strstr(err.text, "CPU 3"));
	cfg.workers = 0;
	assert_int_equal(lm_eal_args_build(&cfg, allowed, 4, true, &eal, &args, &err), -EINVAL);
	cfg.workers = LM_EAL_WORKERS_MAX + 1;
	assert_int_equal(lm_eal_args_build(&cfg, allowed, 4, true, &eal, &args, &err), -EINVAL);
	cfg.workers = 1;
	cfg.instance = "../x";
	assert_int_equal(lm_eal_args_build(&cfg, allowed, 4, true, &eal, &args, &err), -EINVAL);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Only our instance's files, not those of one whose name begins like ours. */
static void leftovers(void **state)
{
	static const char *const names[] = {"lanemesh-gw1map_0", "lanemesh-gw1map_17",
					    "lanemesh-gw12map_0", "othermap_0"};
	char dir[] = "/tmp/lm-port-XXXXXX", line[96], path[96];
	int used;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (unsigned i = 0; i < LM_ARRAY_SIZE(names); i++)
		put(dir, names[i], "");
	snprintf(line, sizeof(line), "none %s hugetlbfs rw 0 0\n", dir);
	put(dir, "mounts", line);
	snprintf(path, sizeof(path), "%s/mounts", dir);
	/* At the start: only what nobody has locked, as a process that was killed leaves it. */
	snprintf(line, sizeof(line), "%s/%s", dir, names[1]);
	used = open(line, O_RDONLY);
	assert_int_equal(flock(used, LOCK_SH), 0);
	lm_hugepages_remove(path, "lanemesh-gw1", true);
	assert_int_equal(access(line, F_OK), 0);
	snprintf(line, sizeof(line), "%s/%s", dir, names[0]);
	assert_int_equal(access(line, F_OK), -1);
	lm_hugepages_remove(path, "lanemesh-gw1", false);
	close(used);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		assert_int_equal(access(path, F_OK), i < 2 ? -1 : 0);
	}
	snprintf(line, sizeof(line), "rm -r %s", dir);
	assert_int_equal(system(line), 0);
}

static void hugepages(void **state)
{
	char dir[] = "/tmp/lm-port-XXXXXX", sub[64], mounts[64];
	bool mounted;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(mounts, sizeof(mounts), "%s/mounts", dir);
	put(dir, "mounts", "tmpfs /run tmpfs rw 0 0\n");
	snprintf(sub, sizeof(sub), "%s/hugepages-2048kB", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	put(sub, "free_hugepages", "100\n");
	snprintf(sub, sizeof(sub), "%s/hugepages-1048576kB", dir);
	assert_int_equal(mkdir(sub, 0700), 0);
	put(sub, "free_hugepages", "3\n");

	assert_int_equal(lm_hugepages_free_mb(dir, mounts, &mounted), 0);
	assert_false(mounted);
	put(dir, "mounts", "none /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n");
	assert_int_equal(lm_hugepages_free_mb(dir, mounts, &mounted), 200);
	assert_true(mounted);
	put(dir, "mounts",
	    "a /h hugetlbfs rw 0 0\nb /h1 hugetlbfs rw,pagesize=1024M 0 0\n"
	    "c /h2 hugetlbfs rw,pagesize=2048k 0 0\n");
	assert_int_equal(lm_hugepages_free_mb(dir, mounts, &mounted), 200 + 3072);
	assert_int_equal(lm_hugepages_free_mb("/nonexistent", mounts, &mounted), 0);
	assert_int_equal(lm_hugepages_free_mb(dir, "/nonexistent", &mounted), 0);
	assert_false(mounted);

	snprintf(sub, sizeof(sub), "rm -r %s", dir);
	assert_int_equal(system(sub), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pci_or_not), cmocka_unit_test(completed), cmocka_unit_test(arguments),
	    cmocka_unit_test(hugepages),  cmocka_unit_test(leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
