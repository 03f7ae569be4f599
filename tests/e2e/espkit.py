# SPDX-License-Identifier: BSD-3-Clause
"""scapy as a second implementation of our ESP: seals packets with exported keys."""
import logging
import os

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import (Ether, ICMP, IP, IPv6, Raw, UDP, TCP, conf, raw,  # noqa: E402,F401
                       rdpcap, sendp, wrpcap)
from scapy.layers.ipsec import ESP, SecurityAssociation  # noqa: E402,F401

conf.verb = 0


class Sa:
    """An SA from "SPI KEYSALT" (hexadecimal), towards the outer address dst."""

    def __init__(self, text, src, dst):
        spi, key = text.split()
        self.sa = SecurityAssociation(
            ESP, spi=int(spi, 16), crypt_algo="AES-GCM", crypt_key=bytes.fromhex(key),
            nat_t_header=UDP(sport=4500, dport=4500), tunnel_header=IP(src=src, dst=dst))

    def seal(self, number, inner):
        packet = self.sa.encrypt(inner, seq_num=number, iv=number.to_bytes(8, "big"))
        del packet[UDP].len  # scapy 2.5 writes 8 here
        packet[UDP].chksum = 0  # RFC 3948 section 2.1
        return IP(raw(packet))


def wire(dev, packets, mac=None):
    """Sends IP packets as frames to the gateway's WAN port."""
    mac = mac or os.environ["MAC"]
    sendp([Ether(dst=mac, src="02:00:00:00:00:99") / p for p in packets], iface=dev)


def flipped(packet, bit):
    """A copy of the IPv4 packet with one bit of its ESP part turned over; 0 = the ICV's last."""
    data = bytearray(raw(packet[Raw] if Raw in packet else packet[ESP]))
    data[-1 - bit // 8] ^= 1 << bit % 8
    head = packet.copy()
    head[UDP].remove_payload()
    return IP(raw(head / Raw(bytes(data))))
