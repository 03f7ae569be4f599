-- SPDX-License-Identifier: BSD-3-Clause
-- What is measured: edit this first. Addresses as in README.md's picture.
return {
	send = 0, -- Pktgen's port in the LAN of the gateway under test (gw1)
	receive = 1, -- and in the LAN of the far gateway (gw2)
	gateway_mac = "02:00:00:00:01:01", -- of gw1's LAN port: ip -br link show lan0, on gw1
	source = "10.1.0.10/24", -- of the sending port, in gw1's LAN
	destination = "10.2.0.10/24", -- of the receiving port, in gw2's LAN
	link_mbps = 10000, -- of the sending port
	sizes = { 64, 512, 1400, "imix" }, -- bytes of the IP packets
	seconds = 5, -- of a trial
	confirm_seconds = 60, -- RFC 2544 section 24 asks for at least 60
	pause_ms = 2000, -- after a trial, for packets under way (RFC 2544 section 23)
	precision = 0.1, -- of the search, in percent of the link's rate
	flows = 4096, -- flows.lua: UDP source ports in turn
	peers = 16, -- peers.lua: sites, whose networks follow each other: 10.2.0.0/24, 10.3.0.0/24, ...
	results = "results.csv", -- a line for each trial
}
