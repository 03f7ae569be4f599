-- SPDX-License-Identifier: BSD-3-Clause
-- Delay at half the rate without loss, for each size. Pktgen marks packets of its own for this and
-- tells least, mean and most.
local settings = require "settings"
local tester = require "tester"
local send, receive = tostring(settings.send), tostring(settings.receive)

tester.setup()
tester.warm_up(64)
for _, size in ipairs(settings.sizes) do
	if size ~= "imix" then -- not with a sequence of packets
		tester.size(size)
		local rate = tester.throughput("rfc2544", size)

		if not rate then
			error("there is no rate without loss")
		end
		for _, port in ipairs({ send, receive }) do
			pktgen.latency(port, "enable")
			pktgen.latency(port, "rate", 1000) -- us between two of its packets
		end
		pktgen.set(send, "rate", rate / 2)
		pktgen.clr()
		pktgen.delay(500)
		pktgen.start(send)
		pktgen.delay(settings.seconds * 1000)
		local seen = pktgen.pktStats(receive)[settings.receive].latency

		pktgen.stop(send)
		for _, port in ipairs({ send, receive }) do
			pktgen.latency(port, "disable")
		end
		print(string.format("%d B at %.2f %%: %d samples, %.1f us least, %.1f mean, %.1f most",
			size, rate / 2, seen.num_pkts, seen.min_us, seen.avg_us, seen.max_us))
	end
end
