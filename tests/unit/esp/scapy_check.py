#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our ESP against scapy's, both ways, without a network: scapy_check.py ESP_PIPE"""

import subprocess
import sys

try:
    import logging

    logging.getLogger("scapy").setLevel(logging.ERROR)
    from scapy.layers.inet import IP, UDP, ICMP
    from scapy.layers.inet6 import IPv6, ICMPv6EchoRequest
    from scapy.layers.ipsec import ESP, SecurityAssociation
    from scapy.packet import Raw
except ImportError as e:
    print("skipped: no scapy (%s)" % e)
    sys.exit(77)

KEY = bytes(range(32))
SALT = bytes.fromhex("deadbeef")
SPI = 0x80000041


class Pipe:
    def __init__(self, exe):
        self.p = subprocess.Popen([exe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().strip()
        assert answer, "the program under test ended at: " + line[:80]
        return answer

    def close(self):
        self.p.stdin.close()
        assert self.p.wait(10) == 0


def inners():
    for size in list(range(0, 70)) + [500, 1000, 1372, 1410]:
        body = Raw(bytes((i * 3 + size) & 0xFF for i in range(size)))
        yield 4, IP(bytes(IP(src="10.1.0.10", dst="10.2.0.10") / ICMP() / body))
        yield 41, IPv6(bytes(IPv6(src="fd00:1::10", dst="fd00:2::10") / ICMPv6EchoRequest() / body))


def association(outer):
    kind = IP if outer == 4 else IPv6
    ends = ("192.0.2.1", "198.51.100.2") if outer == 4 else ("2001:db8::1", "2001:db8::2")
    return SecurityAssociation(
        ESP, spi=SPI, crypt_algo="AES-GCM", crypt_key=KEY + SALT,
        tunnel_header=kind(src=ends[0], dst=ends[1]),
        nat_t_header=UDP(sport=4500, dport=4500) if outer == 4 else None)


def scapy_opens_ours(pipe, outer):
    sa = association(outer)
    checked = 0
    for number, (next_header, inner) in enumerate(inners(), 1):
        tos = number & 0xFF
        raw = bytes.fromhex(pipe.ask("seal %d %d %d %s" % (4 if outer == 4 else 6, next_header, tos,
                                                           bytes(inner).hex())))
        packet = IP(raw) if outer == 4 else IPv6(raw)
        assert (packet.tos if outer == 4 else packet.tc) == tos
        again = packet.copy()  # scapy computes the checksums that are deleted
        if outer == 4:
            del again.chksum
            assert IP(bytes(again)).chksum == packet.chksum
            assert packet[UDP].chksum == 0
        else:
            del again[UDP].chksum
            assert IPv6(bytes(again))[UDP].chksum == packet[UDP].chksum != 0
        assert packet[UDP].len == len(packet[UDP])
        esp = ESP(bytes(packet[UDP].payload))
        assert esp.spi == SPI and esp.seq == number
        assert esp.data[:8] == number.to_bytes(8, "big")
        if outer == 6:  # scapy 2.5 knows ESP in UDP over IPv4 only: take the UDP header off
            packet = IPv6(src=packet.src, dst=packet.dst, nh=50) / esp
        # decrypt gives the inner packet in place of the tunnel header
        got = sa.decrypt(packet)
        assert bytes(got) == bytes(inner), (number, next_header, len(inner))
        checked += 1
    return checked


def we_open_scapys(pipe):
    sa = association(4)
    checked = 0
    for number, (next_header, inner) in enumerate(inners(), 1):
        packet = sa.encrypt(inner, seq_num=number)
        del packet[UDP].len  # scapy 2.5 writes 8
        del packet[UDP].chksum
        esp = bytes(IP(bytes(packet))[UDP].payload)
        answer = pipe.ask("open " + esp.hex())
        assert answer == "%d %s" % (next_header, bytes(inner).hex()), answer[:80]
        # the same again, and with a bit changed, is refused
        assert pipe.ask("open " + esp.hex()).startswith("refused ")
        hurt = bytearray(esp)
        hurt[4] ^= 1
        assert pipe.ask("open " + hurt.hex()).startswith("refused ")
        checked += 1
    return checked


def main():
    total = 0
    for check in (lambda p: scapy_opens_ours(p, 4), lambda p: scapy_opens_ours(p, 6), we_open_scapys):
        pipe = Pipe(sys.argv[1])
        assert pipe.ask("key %s %s %x" % (KEY.hex(), SALT.hex(), SPI)) == "ok"
        total += check(pipe)
        pipe.close()
    print("%d packets agree with scapy" % total)


main()
