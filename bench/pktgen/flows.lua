-- SPDX-License-Identifier: BSD-3-Clause
-- One flow beside many: with many, the LAN port's RSS spreads them over the gateway's workers.
local settings = require "settings"
local tester = require "tester"

tester.setup()
tester.warm_up(64)
for _, size in ipairs(settings.sizes) do
	if size ~= "imix" then
		tester.range(size, 1, 1)
		local one = tester.trial("one-flow", size, 100, settings.seconds)

		tester.range(size, settings.flows, 1)
		local many = tester.trial("flows", size, 100, settings.seconds)

		print(string.format("%d B: one flow %.3f, %d flows %.3f million packets/s", size,
			one.received_pps / 1e6, settings.flows, many.received_pps / 1e6))
	end
end
