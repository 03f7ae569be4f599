-- SPDX-License-Identifier: BSD-3-Clause
-- One site beside many, packet by packet: the gateway seals under another key each time. The
-- receiving port must be in all their LANs; see README.md.
local settings = require "settings"
local tester = require "tester"

tester.setup()
tester.warm_up(64)
for _, size in ipairs(settings.sizes) do
	if size ~= "imix" then
		tester.range(size, settings.flows, 1)
		local one = tester.trial("one-peer", size, 100, settings.seconds)

		tester.range(size, settings.flows, settings.peers)
		local many = tester.trial("peers", size, 100, settings.seconds)

		print(string.format("%d B: one site %.3f, %d sites %.3f million packets/s", size,
			one.received_pps / 1e6, settings.peers, many.received_pps / 1e6))
	end
end
