-- SPDX-License-Identifier: BSD-3-Clause
-- The highest rate without a lost packet, for each size. Some two minutes a size.
local settings = require "settings"
local tester = require "tester"

tester.setup()
tester.warm_up(64)
for _, size in ipairs(settings.sizes) do
	tester.size(size)
	local rate, r = tester.throughput("rfc2544", size)

	if rate then
		print(string.format("%s B: no loss at %.2f %% of the link: %.3f million packets/s", size,
			rate, r.received_pps / 1e6))
	else
		print(string.format("%s B: there is no rate without loss", size))
	end
end
