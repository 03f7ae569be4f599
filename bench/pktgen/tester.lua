-- SPDX-License-Identifier: BSD-3-Clause
-- What the scripts share: ports, traffic, a trial, its line in the results.
local settings = require "settings"
local tester = {}

local ETHERNET = 18 -- header and FCS: Pktgen's sizes are those of whole frames
local BETWEEN = 20 -- preamble and gap between two frames
local IMIX = { 64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 576, 64 }
local FIRST_SOURCE_PORT, DISCARD = 1024, 9
local send, receive = tostring(settings.send), tostring(settings.receive)

local function address(with_length)
	return with_length:match("^[^/]+")
end

-- Neither flows nor a sequence: one kind of packet.
local function plain()
	pktgen.set_range(send, "off")
	pktgen.set(send, "seq_cnt", 0)
end

function tester.setup()
	pktgen.screen("off")
	pktgen.stop("all")
	pktgen.clr()
	for _, port in ipairs({ send, receive }) do
		pktgen.set_proto(port, "udp")
		pktgen.set_type(port, "ipv4")
		pktgen.process(port, "on") -- so that it answers the gateway's ARP
	end
	pktgen.set_ipaddr(send, "src", settings.source)
	pktgen.set_ipaddr(send, "dst", address(settings.destination))
	pktgen.set_ipaddr(receive, "src", settings.destination)
	pktgen.set_ipaddr(receive, "dst", address(settings.source))
	pktgen.set_mac(send, "dst", settings.gateway_mac)
	pktgen.set(send, "count", 0) -- until stopped
	pktgen.set(send, "sport", FIRST_SOURCE_PORT)
	pktgen.set(send, "dport", DISCARD)
	plain()
end

-- A size in bytes, or "imix": 7x64, 4x576, 1x1400.
function tester.size(size)
	plain()
	if size ~= "imix" then
		pktgen.set(send, "size", size + ETHERNET)
		return
	end
	local source_mac = pktgen.pktStats(send)[settings.send].mac_addr
	for i, bytes in ipairs(IMIX) do
		pktgen.seq(i - 1, send, settings.gateway_mac, source_mac, address(settings.destination),
			settings.source, FIRST_SOURCE_PORT, DISCARD, "ipv4", "udp", 1, bytes + ETHERNET)
	end
	pktgen.set(send, "seq_cnt", #IMIX)
end

local function ladder(what, first, step, last)
	pktgen.range[what](send, "start", first)
	pktgen.range[what](send, "inc", step)
	pktgen.range[what](send, "min", first)
	pktgen.range[what](send, "max", last)
end

-- Many flows, or many sites, packet by packet.
function tester.range(size, flows, peers)
	local source, destination = address(settings.source), address(settings.destination)
	local a, b, c, d = destination:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
	local last = string.format("%d.%d.%d.%d", a, b + peers - 1, c, d)
	local port = FIRST_SOURCE_PORT + flows - 1

	assert(b + peers - 1 < 256 and port < 65536, "settings: too many peers or flows")
	pktgen.range.dst_mac(send, "start", settings.gateway_mac)
	pktgen.range.src_mac(send, "start", pktgen.pktStats(send)[settings.send].mac_addr)
	pktgen.range.ip_proto(send, "udp")
	ladder("src_ip", source, "0.0.0.0", source)
	ladder("dst_ip", destination, peers > 1 and "0.1.0.0" or "0.0.0.0", last)
	ladder("src_port", FIRST_SOURCE_PORT, flows > 1 and 1 or 0, port)
	ladder("dst_port", DISCARD, 0, DISCARD)
	ladder("ttl", 64, 0, 64)
	ladder("pkt_size", size + ETHERNET, 0, size + ETHERNET)
	pktgen.set(send, "seq_cnt", 0)
	pktgen.set_range(send, "on")
end

local function mean_frame(size)
	local sum = 0

	if size ~= "imix" then
		return size + ETHERNET
	end
	for _, bytes in ipairs(IMIX) do
		sum = sum + bytes + ETHERNET
	end
	return sum / #IMIX
end

-- Packets a second that the link carries at most.
function tester.link_pps(size)
	return settings.link_mbps * 1e6 / ((mean_frame(size) + BETWEEN) * 8)
end

local function record(what, size, r)
	local f = assert(io.open(settings.results, "a"))

	if f:seek("end") == 0 then
		f:write("what,size,percent,seconds,sent,received,lost,sent_pps,received_pps\n")
	end
	f:write(string.format("%s,%s,%.3f,%.1f,%d,%d,%d,%.0f,%.0f\n", what, size, r.rate, r.seconds,
		r.sent, r.received, r.lost, r.sent_pps, r.received_pps))
	f:close()
	print(string.format("%-11s %5s B at %7.3f %%: %.0f packets/s sent, %.0f received, %d lost",
		what, size, r.rate, r.sent_pps, r.received_pps, r.lost))
end

-- One direction, at a rate in percent of the link's, for some seconds.
function tester.trial(what, size, rate, seconds)
	local r = { rate = rate, seconds = seconds }

	pktgen.set(send, "rate", rate)
	pktgen.clr()
	pktgen.delay(500)
	pktgen.start(send)
	pktgen.delay(math.floor(seconds * 1000))
	pktgen.stop(send)
	pktgen.delay(settings.pause_ms)
	r.sent = pktgen.portStats(send, "port")[settings.send].opackets
	r.received = pktgen.portStats(receive, "port")[settings.receive].ipackets
	r.lost = r.sent - r.received
	r.sent_pps, r.received_pps = r.sent / seconds, r.received / seconds
	if r.sent == 0 then
		error("port " .. send .. " has sent nothing: is its link up?")
	end
	record(what, size, r)
	return r
end

-- The first packets wait for ARP, at the tester's and at both gateways' ends.
function tester.warm_up(size)
	local r

	tester.size(size)
	for _ = 1, 5 do
		r = tester.trial("warm-up", size, 0.1, 1)
		if r.received > 0 then
			return
		end
	end
	error("nothing comes through: see `lanemesh drops` on both gateways")
end

-- RFC 2544 section 26.1: the highest rate without loss, in percent of the link's, or nil. A longer
-- trial confirms it, or the next lower one.
function tester.throughput(what, size)
	local low, high = 0, 100
	local r = tester.trial(what, size, high, settings.seconds)

	if r.lost == 0 then
		low = high
	end
	while high - low > settings.precision do
		local middle = (low + high) / 2

		if tester.trial(what, size, middle, settings.seconds).lost == 0 then
			low = middle
		else
			high = middle
		end
	end
	while low > 0 do
		r = tester.trial(what .. "-confirm", size, low, settings.confirm_seconds)
		if r.lost == 0 then
			return low, r
		end
		low = low - settings.precision
	end
	return nil
end

return tester
