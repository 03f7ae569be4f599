#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""pair_search.py BENCH: the search of bench/run's pair suite finds a gateway's rate."""
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))
from report import pair  # noqa: E402


class Search(unittest.TestCase):
    def find(self, limit, precision=0.05, low=1000, high=4e6):
        self.asked = []

        def lossless(rate):
            self.asked.append(rate)
            return rate <= limit
        return pair.search(lossless, low, high, precision)

    def test_finds_the_limit(self):
        for limit in (1001, 5000, 123456, 999999, 3.9e6):
            found = self.find(limit)
            self.assertLessEqual(found, limit)
            self.assertGreater(found * 1.06, limit)

    def test_never_tries_more_than_it_was_told(self):
        self.find(1e9)
        self.assertLess(max(self.asked), 4e6)

    def test_few_trials(self):
        self.find(123456)
        self.assertLess(len(self.asked), 10)

    def test_a_loss_at_the_lowest_rate_is_told(self):
        self.assertEqual(self.find(10), 0.0)
        self.assertEqual(len(self.asked), 1)


if __name__ == "__main__":
    unittest.main()
