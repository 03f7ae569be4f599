-- SPDX-License-Identifier: BSD-3-Clause
-- The Internet's mix of sizes, 7x64, 4x576, 1x1400: at the link's rate, and without loss.
local settings = require "settings"
local tester = require "tester"

tester.setup()
tester.warm_up(64)
tester.size("imix")
tester.trial("full", "imix", 100, settings.seconds)
local rate, r = tester.throughput("imix", "imix")
if rate then
	print(string.format("IMIX: no loss at %.2f %% of the link: %.3f million packets/s", rate,
		r.received_pps / 1e6))
else
	print("IMIX: there is no rate without loss")
end
