/* SPDX-License-Identifier: BSD-3-Clause */
#include "aead_ipsecmb.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <errno.h>

/* AVX2 by the compiler's help, which also asks whether the system saves the wide registers;
 * the other two by CPUID, because not every compiler's help knows them. */
static bool cpu_has_vaes(void)
{
	unsigned a, b, c, d;

	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
	       (c & bit_VAES) != 0 && (c & bit_VPCLMULQDQ) != 0;
}

/* At run time: ipsec-mb 1.x does not have them, and no release declares them in its header. */
static bool find_vaes(struct lm_gcm *out)
{
	if (!cpu_has_vaes())
		return false;
	out->pre = (aes_gcm_pre_t)dlsym(RTLD_DEFAULT, "aes_gcm_pre_256_vaes_avx2");
	out->enc = (aes_gcm_enc_dec_t)dlsym(RTLD_DEFAULT, "aes_gcm_enc_256_vaes_avx2");
	out->dec = (aes_gcm_enc_dec_t)dlsym(RTLD_DEFAULT, "aes_gcm_dec_256_vaes_avx2");
	return out->pre != NULL && out->enc != NULL && out->dec != NULL;
}

/*
 * ipsec-mb 2.x picks its VAES code only on CPUs that have GFNI too, which GCM does not need:
 * without GFNI it is 1.2 to 1.8 times as fast as what the library picks (README.md). Where the
 * library picked it, or AVX-512, that stays.
 */
bool lm_gcm_choose(const IMB_MGR *mgr, IMB_ARCH arch, bool fastest, struct lm_gcm *out,
		   struct lm_error *warning)
{
	struct lm_error err;
	struct lm_gcm vaes;

	*out = (struct lm_gcm){mgr->gcm256_pre, mgr->gcm256_enc, mgr->gcm256_dec};
	if (arch != IMB_ARCH_AVX2 || !find_vaes(&vaes))
		return false;
	if (vaes.enc == out->enc)
		return true;
	if (!fastest)
		return false;
	if (!lm_gcm_check(&vaes, out, &err)) {
		lm_error_set(warning, EIO,
			     "the VAES code of ipsec-mb %s fails its check and is not used: %s",
			     imb_get_version_str(), err.text);
		return false;
	}
	*out = vaes;
	return true;
}
