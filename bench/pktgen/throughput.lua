-- SPDX-License-Identifier: BSD-3-Clause
-- How much comes through when as much is sent as the link carries, and when twice as much is sent as
-- comes through: an overloaded gateway must not do less work. A minute.
local settings = require "settings"
local tester = require "tester"

tester.setup()
tester.warm_up(64)
for _, size in ipairs(settings.sizes) do
	tester.size(size)
	local most = tester.trial("full", size, 100, settings.seconds)
	local rate = math.min(100, 200 * most.received_pps / tester.link_pps(size))
	local twice = tester.trial("overload", size, rate, settings.seconds)

	print(string.format("%s B: %.3f million packets/s; at twice that load %.2f of it", size,
		most.received_pps / 1e6, twice.received_pps / most.received_pps))
end
