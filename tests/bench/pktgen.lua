-- SPDX-License-Identifier: BSD-3-Clause
-- pktgen.lua SCRIPTS RESULTS: runs the scripts of bench/pktgen on a model of Pktgen's module and
-- looks at what they did and found. No Pktgen is run: Debian has no package of it.
local scripts, results = arg[1], arg[2]
local here = arg[0]:match("^(.*)/")
package.path = here .. "/?.lua;" .. scripts .. "/?.lua"

local model = require "pktgen_model"
local settings = require "settings"
local CAPACITY = 1.5e6
settings.results = results

-- Returns the model and what the script printed; fails unless it ends as it should.
local function run(script, options)
	local m = model.new({ link_mbps = settings.link_mbps, capacity = options.capacity or CAPACITY,
		mute = options.mute })
	local printed = {}
	local env = setmetatable({ pktgen = m.pktgen, print = function(line)
		printed[#printed + 1] = line
	end }, { __index = _G })

	os.remove(results)
	package.loaded.tester = nil
	-- The module takes pktgen and print from the globals, as in Pktgen.
	_G.pktgen, m.print, _G.print = m.pktgen, _G.print, env.print
	local ok, err = pcall(assert(loadfile(scripts .. "/" .. script .. ".lua", "t", env)))
	_G.print = m.print
	assert(ok == not options.mute, script .. ": " .. tostring(err))
	assert(not m.port[0].sending and not m.port[1].sending, script .. " leaves a port sending")
	return m, table.concat(printed, "\n"), err
end

local function lines()
	local found = {}

	for line in io.lines(results) do
		local what, size, percent, seconds, sent, received, lost =
			line:match("^([^,]+),([^,]+),([^,]+),([^,]+),([^,]+),([^,]+),([^,]+)")

		found[#found + 1] = { what = what, size = size, percent = tonumber(percent),
			seconds = tonumber(seconds), sent = tonumber(sent), received = tonumber(received),
			lost = tonumber(lost) }
	end
	assert(found[1].what == "what" and found[1].lost == nil, "no heading")
	return found
end

local function near(a, b, most)
	assert(math.abs(a - b) <= most, a .. " is not " .. b)
end

local IMIX_MEAN = (7 * 64 + 4 * 576 + 1400) / 12

-- Percent of the link that the model's gateway forwards.
local function limit(size, capacity)
	local frame = (size == "imix" and IMIX_MEAN or tonumber(size)) + 18

	return math.min(100, 100 * (capacity or CAPACITY) * (frame + 20) * 8 / (settings.link_mbps * 1e6))
end

local test = {}

function test.rfc2544_finds_the_rate_without_loss()
	run("rfc2544", {})
	local confirmed = {}

	for _, l in ipairs(lines()) do
		if l.what == "rfc2544-confirm" and l.lost == 0 then
			confirmed[l.size] = l
		end
	end
	for _, size in ipairs(settings.sizes) do
		local l = confirmed[tostring(size)]

		assert(l and l.seconds >= 60, size .. " is not confirmed for 60 s")
		assert(l.percent <= limit(size), "more than the gateway forwards")
		near(l.percent, limit(size), 2 * settings.precision)
	end
end

function test.rfc2544_at_line_rate_needs_no_search()
	run("rfc2544", { capacity = 1e9 })
	for _, l in ipairs(lines()) do
		assert(l.what ~= "rfc2544" or l.percent == 100)
	end
end

function test.throughput_overloads_twice()
	local _, printed = run("throughput", {})

	for _, l in ipairs(lines()) do
		if l.what == "overload" then
			near(l.percent, math.min(100, 2 * limit(l.size)), 0.1)
		end
	end
	assert(printed:match("64 B: 1%.500 million packets/s; at twice that load 1%.00 of it"), printed)
end

function test.imix_is_seven_four_one()
	local m = run("imix", {})
	local count = {}

	assert(m.port[0].seq_cnt == 12 and not m.port[0].range)
	for i = 0, 11 do
		count[m.seq[i].size - 18] = (count[m.seq[i].size - 18] or 0) + 1
		assert(m.seq[i].dmac == settings.gateway_mac and m.seq[i].dst == "10.2.0.10")
	end
	assert(count[64] == 7 and count[576] == 4 and count[1400] == 1)
end

function test.flows_differ_in_their_source_ports()
	local m = run("flows", {})
	local ports = m.range.src_port

	assert(m.port[0].range and m.port[0].seq_cnt == 0)
	assert(ports.max - ports.min + 1 == settings.flows and ports.inc == 1 and ports.start == ports.min)
	assert(m.range.dst_ip.min == "10.2.0.10" and m.range.dst_ip.max == "10.2.0.10")
	assert(m.range.pkt_size.start == 1400 + 18 and m.range.dst_mac.start == settings.gateway_mac)
end

function test.peers_are_sites_in_turn()
	local m = run("peers", {})

	assert(m.range.dst_ip.inc == "0.1.0.0" and m.range.dst_ip.min == "10.2.0.10")
	assert(m.range.dst_ip.max == "10." .. 1 + settings.peers .. ".0.10", m.range.dst_ip.max)
	assert(m.range.src_ip.min == "10.1.0.10" and m.range.src_ip.max == "10.1.0.10")
end

function test.latency_is_at_half_the_rate()
	local m, printed = run("latency", {})
	local with = {}

	for _, t in ipairs(m.trials) do
		if t.latency then
			with[#with + 1] = t
		end
	end
	assert(#with == 3, "three sizes")
	near(with[1].rate, limit(64) / 2, settings.precision)
	for i = 0, 1 do
		assert(m.latency[i].was_on and not m.latency[i].on, "not switched off again")
	end
	assert(printed:match("64 B at %d+%.%d+ %%: 5000 samples, 10%.0 us least, 20%.0 mean, 90%.0 most"))
end

function test.nothing_through_is_said()
	local _, _, err = run("throughput", { mute = true })

	assert(tostring(err):match("lanemesh drops"), err)
end

function test.both_ports_answer_arp_with_their_addresses()
	local m = run("throughput", {})

	assert(m.port[0].process and m.port[1].process and m.port[0].count == 0)
	assert(m.port[0].src == "10.1.0.10/24" and m.port[0].dst == "10.2.0.10")
	assert(m.port[1].src == "10.2.0.10/24" and m.port[0].mac == settings.gateway_mac)
end

local failed = 0
for name, body in pairs(test) do
	local ok, err = pcall(body)

	io.write(ok and "ok " or "not ok ", name, ok and "\n" or ": " .. tostring(err) .. "\n")
	failed = failed + (ok and 0 or 1)
end
os.remove(results)
os.exit(failed == 0 and 0 or 1)
