/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/trust.h>

static const struct {
	const char *name, *text;
} verdicts[LM_VERDICT_COUNT] = {
    [LM_TRUSTED] = {"trusted", "trusted"},
    [LM_BAD_ENCODING] = {"bad_encoding", "malformed record"},
    [LM_BAD_SIGNATURE] = {"bad_signature", "signature does not match"},
    [LM_BAD_MESH] = {"bad_mesh", "made for another mesh"},
    [LM_UNKNOWN_AUTHORITY] = {"unknown_authority", "signed by an authority that is not configured"},
    [LM_NOT_YET_VALID] = {"not_yet_valid", "certificate not yet valid"},
    [LM_EXPIRED] = {"expired", "certificate expired"},
    [LM_REVOKED] = {"revoked", "certificate or node revoked"},
    [LM_WRONG_NODE] = {"wrong_node", "announcement of another node than the certificate's"},
    [LM_OUTSIDE_CERT] = {"outside_cert", "announces a prefix that its certificate does not hold"},
    [LM_BAD_OVERLAY_ENDPOINT] = {"overlay_endpoint",
				 "announces an endpoint inside its own overlay prefixes"},
    [LM_OLDER] = {"older", "older than what is known"},
    [LM_NO_MEMORY] = {"no_memory", "out of memory"},
};

const char *lm_verdict_text(enum lm_verdict v)
{
	return (unsigned)v < LM_VERDICT_COUNT ? verdicts[v].text : "unknown verdict";
}

const char *lm_verdict_name(enum lm_verdict v)
{
	return (unsigned)v < LM_VERDICT_COUNT ? verdicts[v].name : "unknown";
}
