#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""stages.py BENCH PROGRAM: bench/run's cycles by stage are of the functions that there are."""
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))
PROGRAM = sys.argv.pop(1)
from report import gateway  # noqa: E402

NM = """0000000000001000 t parse.lto_priv.0
0000000000001200 T lm_fwd_lookup4
0000000000001300 t lm_worker_main
0000000000001280 r parse_table
"""


class Stages(unittest.TestCase):
    def test_addresses_get_the_stage_of_their_function(self):
        symbols = gateway.Symbols(NM)
        samples = {"/x/bench-gateway+1000": 3, "/x/bench-gateway+11ff": 1, "/x/bench-gateway+1200": 4,
                   "/x/bench-gateway+10": 1, "/lib/libIPSec_MB.so.1.3.0+1000": 6,
                   "/lib/libelse.so+1000": 1}
        found = gateway.cycles(samples, 320.0, symbols)
        self.assertEqual(found, {"parse": 80.0, "lookup": 80.0, "cipher": 120.0, "other": 40.0})

    def test_no_samples_are_no_stages(self):
        self.assertEqual(gateway.cycles({}, 320.0, gateway.Symbols(NM)), {})

    def test_the_data_plane_has_a_function_of_every_stage(self):
        symbols = gateway.Symbols.of(PROGRAM)
        there = {gateway.stage_of("bench-gateway", start, symbols) for start in symbols.starts}
        # A stage that has no function any more would be counted with another, unnoticed.
        for stage in ("parse", "lookup", "route, headers", "cipher", "unwrap", "send", "loop"):
            self.assertIn(stage, there, os.path.basename(PROGRAM))


if __name__ == "__main__":
    unittest.main()
