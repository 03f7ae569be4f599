-- SPDX-License-Identifier: BSD-3-Clause
-- A model of Pktgen's Lua module, as far as bench/pktgen uses it: the names and arguments are those
-- of Pktgen 23 (its app/lpktgenlib.c), anything else is an error; time passes in delay() alone. Two
-- ports are joined by a gateway that forwards `capacity` packets a second, or `mute` nothing.
local model = {}
local FCS_MIN, FCS_MAX = 64, 1518

local function port_of(list)
	assert(list == "0" or list == "1", "port list " .. tostring(list))
	return tonumber(list)
end

local function each(list)
	if list == "all" then
		return { 0, 1 }
	end
	return { port_of(list) }
end

local function number(v, least, most)
	assert(math.type(v) ~= nil and v >= least and v <= most, "number " .. tostring(v))
	return v
end

local function integer(v, least, most)
	assert(math.type(v) == "integer", "not an integer: " .. tostring(v))
	return number(v, least, most)
end

local function text(v, pattern)
	assert(type(v) == "string" and v:match(pattern), "text " .. tostring(v))
	return v
end

local IP, MAC = "^%d+%.%d+%.%d+%.%d+$", "^%x+:%x+:%x+:%x+:%x+:%x+$"
local IP_LENGTH = "^%d+%.%d+%.%d+%.%d+/%d+$"
local SWITCH = { on = true, off = false, enable = true, disable = false }

function model.new(options)
	local m = { calls = {}, seq = {}, range = {}, elapsed = 0, latency = {}, trials = {} }
	local port = {}
	local pktgen = { range = {} }

	for i = 0, 1 do
		port[i] = { size = FCS_MIN, rate = 100, seq_cnt = 0, sent = 0, received = 0 }
	end
	m.port = port

	local function mean_size(p)
		if p.range then
			return m.range.pkt_size.start
		elseif p.seq_cnt > 0 then
			local sum = 0

			for i = 0, p.seq_cnt - 1 do
				sum = sum + m.seq[i].size
			end
			return sum / p.seq_cnt
		end
		return p.size
	end

	function m.link_pps(p)
		return options.link_mbps * 1e6 / ((mean_size(p) + 20) * 8)
	end

	local setters = {
		count = function(p, v) p.count = integer(v, 0, 2 ^ 32) end,
		size = function(p, v) p.size = integer(v, FCS_MIN, FCS_MAX) end,
		rate = function(p, v) p.rate = number(v, 0.001, 100) end,
		sport = function(p, v) p.sport = integer(v, 0, 65535) end,
		dport = function(p, v) p.dport = integer(v, 0, 65535) end,
		seq_cnt = function(p, v) p.seq_cnt = integer(v, 0, 16) end,
	}
	function pktgen.set(list, what, value)
		for _, i in ipairs(each(list)) do
			assert(setters[what], "set " .. what)(port[i], value)
		end
	end
	function pktgen.screen(state) assert(SWITCH[state] ~= nil) end
	function pktgen.process(list, state) port[port_of(list)].process = SWITCH[state] end
	function pktgen.set_proto(list, v) port[port_of(list)].proto = text(v, "^udp$") end
	function pktgen.set_type(list, v) port[port_of(list)].type = text(v, "^ipv4$") end
	function pktgen.set_ipaddr(list, which, v)
		port[port_of(list)][text(which, "^[sd][rs][ct]$")] =
			text(v, which == "src" and IP_LENGTH or IP)
	end
	function pktgen.set_mac(list, which, v)
		port[port_of(list)].mac = text(which, "^dst$") and text(v, MAC)
	end
	function pktgen.set_range(list, state) port[port_of(list)].range = SWITCH[state] end
	function pktgen.seq(i, list, dmac, smac, dst, src, sport, dport, eth, proto, vlan, size, ...)
		assert(select("#", ...) == 0 and port_of(list) == 0)
		m.seq[integer(i, 0, 15)] = {
			dmac = text(dmac, MAC), smac = text(smac, MAC), dst = text(dst, IP),
			src = text(src, IP_LENGTH), sport = integer(sport, 0, 65535),
			dport = integer(dport, 0, 65535), eth = text(eth, "^ipv4$"),
			proto = text(proto, "^udp$"), vlan = integer(vlan, 1, 4095),
			size = integer(size, FCS_MIN, FCS_MAX),
		}
	end
	local kinds = {
		src_ip = function(v) return text(v, IP) end, dst_ip = function(v) return text(v, IP) end,
		src_port = function(v) return integer(v, 0, 65535) end,
		dst_port = function(v) return integer(v, 0, 65535) end,
		ttl = function(v) return integer(v, 0, 255) end,
		pkt_size = function(v) return integer(v, 0, FCS_MAX) end,
		src_mac = function(v) return text(v, MAC) end, dst_mac = function(v) return text(v, MAC) end,
	}
	for what, check in pairs(kinds) do
		pktgen.range[what] = function(list, which, v)
			assert(port_of(list) == 0)
			m.range[what] = m.range[what] or {}
			m.range[what][text(which, "^%l+$")] = check(v)
		end
	end
	function pktgen.range.ip_proto(list, v) m.range.proto = port_of(list) == 0 and text(v, "^udp$") end
	function pktgen.latency(list, what, value)
		local l = m.latency[port_of(list)] or {}

		m.latency[port_of(list)] = l
		if what == "rate" then
			l.rate = integer(value, 1, 1000000)
		else
			l.on = SWITCH[what]
			assert(l.on ~= nil and value == nil)
			l.was_on = l.was_on or l.on
		end
	end
	function pktgen.clr()
		for i = 0, 1 do
			port[i].sent, port[i].received = 0, 0
		end
	end
	function pktgen.start(list)
		local p = port[port_of(list)]

		assert(not p.sending, "started twice")
		p.sending = true
		m.trials[#m.trials + 1] = { rate = p.rate, size = mean_size(p), at = m.elapsed,
			latency = m.latency[0] and m.latency[0].on or false }
	end
	function pktgen.stop(list)
		for _, i in ipairs(each(list)) do
			port[i].sending = false
		end
	end
	function pktgen.delay(ms)
		m.elapsed = m.elapsed + integer(ms, 0, 3600000)
		if port[0].sending then
			local pps = port[0].rate / 100 * m.link_pps(port[0])

			port[0].sent = port[0].sent + math.floor(pps * ms / 1000)
			pps = math.min(pps, options.mute and 0 or options.capacity)
			port[1].received = port[1].received + math.floor(pps * ms / 1000)
			m.trials[#m.trials].ms = ms
		end
	end
	function pktgen.portStats(list, kind)
		local i = port_of(list)

		text(kind, "^port$")
		return { [i] = { opackets = port[i].sent, ipackets = port[i].received }, n = 1 }
	end
	function pktgen.pktStats(list)
		local i = port_of(list)
		local on = m.latency[i] and m.latency[i].on

		return { [i] = { mac_addr = "02:00:00:00:00:0" .. i, latency = on and { num_pkts = 5000,
			min_us = 10.0, avg_us = 20.0, max_us = 90.0 } or nil }, n = 1 }
	end
	-- A name that is not there is a mistake of the script.
	local strict = { __index = function(_, k) error("pktgen has no " .. tostring(k), 2) end }
	m.pktgen = setmetatable(pktgen, strict)
	setmetatable(pktgen.range, strict)
	return m
end

return model
