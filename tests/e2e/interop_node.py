#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A second implementation of a lanemesh node, for 23-interop.sh.

Written from lib/wire/PROTOCOL.md alone, to show that the document is enough: it shares nothing
with the gateway, and where the two do not understand each other one of them or the document is
wrong. Numbers in comments are the document's sections. Left out is what only guards against
hostile peers (limits, checks of points), and revocation lists, moves, relays and STUN.

It answers ICMP echo for its overlay addresses and prefixes and sends echo requests of its own.
Standard error says what happens; at the end (SIGTERM) standard output what was counted, as JSON.
"""
import argparse
import asyncio
import base64
import collections
import copy
import hashlib
import ipaddress
import json
import os
import random
import signal
import struct
import sys
import time
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from interop_wire import (
    ANNOUNCEMENT, CLOSE, PAD, PROBE, PROBE_REPLY, Bad, Noise, Reader, Session, announcement, blake,
    certificate, check, hkdf, holds, nonce, now, number, opened, public, put, put_block,
    put_endpoint, signed, x_public, xaead)

counts = collections.Counter()


def log(*words):
    print(f"{time.time():.3f}", *words, file=sys.stderr, flush=True)


class Peer:
    def __init__(self, key):
        self.key, self.cert, self.ann, self.current = key, None, None, None
        self.handshakes, self.sessions = {}, {}
        self.ephemerals = collections.deque(maxlen=64)
        self.retry()

    def retry(self, seconds=0.0):
        self.tries, self.next_try = 0, now() + seconds


class Node(asyncio.DatagramProtocol):
    def __init__(self, options):
        self.o = options
        self.ed = Ed25519PrivateKey.from_private_bytes(options.key)
        self.x = X25519PrivateKey.from_private_bytes(hashlib.sha512(options.key).digest()[:32])
        self.key = public(self.ed)
        check(public(self.x) == x_public(self.key), "own key")
        self.cert = certificate(options.cert)
        self.mesh = self.cert.mesh.encode()
        self.peers, self.bases = {}, {}
        self.cookies, self.secret = {}, os.urandom(32)
        self.pings, self.waiting = {p: [0, 0] for p in options.ping}, {}
        self.announce(int(time.time() * 1000))

    def announce(self, sequence):
        """A new announcement of this node."""
        endpoints = [] if self.o.hidden else [b"\1" + put_endpoint(self.o.address)]
        prefixes = [bytes([p.version, p.prefixlen]) + p.network_address.packed
                    for p in self.cert.prefixes]
        body = b"\1" + self.key + put(sequence, 8) + put(len(self.mesh), 1) + self.mesh
        body += put(self.o.lanes, 1)
        for items in (endpoints, prefixes):
            body += put(len(items), 1) + b"".join(items)
        self.ann = announcement(body + self.ed.sign(b"lanemesh announcement 1\0" + body))
        for peer in self.peers.values():
            if peer.current:
                self.send(peer.current, [(ANNOUNCEMENT, self.ann.data)])

    # -- 5. who is a member

    def member(self, data):
        cert = certificate(data)
        check(cert.issuer == self.o.authority, "certificate: issuer")
        signed(cert.issuer, "certificate", data)
        check(cert.mesh == self.cert.mesh and cert.node != self.key, "certificate: mesh or node")
        check(cert.not_before - 3600 <= time.time() < cert.not_after + 3600, "certificate: time")
        peer = self.peers.setdefault(cert.node, Peer(cert.node))
        peer.cert = max(peer.cert or cert, cert, key=lambda c: (c.not_before, c.serial))
        return peer

    def announced(self, data, session=None):
        ann = announcement(data)
        if ann.node == self.key:
            if ann.sequence > self.ann.sequence:
                self.announce(ann.sequence + 1)
            return
        peer = self.peers.get(ann.node)
        check(peer and ann.mesh == peer.cert.mesh, "announcement: whose?")
        for prefix in ann.prefixes:
            check(any(prefix.version == p.version and prefix.subnet_of(p)
                      for p in peer.cert.prefixes), "announcement: prefix")
        if not peer.ann or ann.sequence > peer.ann.sequence:
            peer.ann = ann
        elif ann.sequence < peer.ann.sequence and session and session.peer is peer:
            self.send(session, [(ANNOUNCEMENT, peer.ann.data)])

    # -- 2, 3. datagrams

    def connection_made(self, transport):
        self.udp = transport

    def datagram_received(self, data, addr):
        if data == b"\xff" or len(data) < 8:
            return
        try:
            if data[0] & 0x80:
                self.esp(data)
            elif data[:4] == bytes(4):
                types = {1: self.message1, 2: self.message2, 3: self.cookie, 4: self.transport}
                check(data[4] in types and data[5:8] == bytes(3) and len(data) <= 1200, "header")
                base = number(data[8:12])
                check(base >= 1 << 31 and not base & 63, "spi base")
                types[data[4]](data, base, addr[:2])
        except Bad as e:
            counts[f"dropped: {e}"] += 1
            log("dropped from", *addr[:2], e)

    def new_base(self):
        while (base := 1 << 31 | random.SystemRandom().randrange(1 << 25) << 6) in self.bases:
            pass
        return base

    # -- 4. handshake

    def payload(self, base, size=0):
        body = put(base, 4) + put(self.o.lanes, 1) + bytes(5) + put_block(self.cert.data)
        return body.ljust(size, b"\0")

    def peer_of(self, payload, base):
        """The peer and its lanes."""
        r = Reader(payload)
        check(r.u(4) == base, "payload: spi base")
        lanes = r.u(1, 64)
        check(lanes and r.u(1) == 0, "payload")
        r.take(4)
        cert = r.block()
        check(not any(r.data), "payload: zeros")
        return self.member(cert), lanes

    def macs(self, message, key, cookie=None):
        covered = message[:92] if message[4] == 1 else message[:48]
        message += blake(128, covered, blake(256, b"lanemesh mac1" + x_public(key)))
        return message + (blake(128, covered, cookie) if cookie else bytes(16))

    def check_mac1(self, data):
        check(data[:-16] == self.macs(data[:-32], self.key)[:-16], "mac1")

    def noise(self, initiator, responder):
        prologue = b"lanemesh 1\0" + self.mesh
        return Noise(prologue, initiator, self.x, x_public(responder), self.o.psk)

    def call(self, peer, addresses):
        shake = SimpleNamespace(peer=peer, base=self.new_base(), end=now() + 10, sent={})
        shake.noise, shake.again = self.noise(True, peer.key), set(addresses)
        payload = self.payload(shake.base, 1060)
        shake.message = put(1 << 24, 8) + put(shake.base, 4) + shake.noise.write(payload)
        self.bases[shake.base] = peer.handshakes[shake.base] = shake
        for addr in addresses:
            cookie, until = self.cookies.get(addr, (None, 0))
            self.send_message1(shake, addr, cookie if now() < until else None)
        counts["handshakes begun"] += 1

    def send_message1(self, shake, addr, cookie):
        shake.sent[addr] = self.macs(shake.message, shake.peer.key, cookie)
        self.udp.sendto(shake.sent[addr], addr)

    def message1(self, data, base, addr):
        check(len(data) == 1200, "message 1: length")
        self.check_mac1(data)
        cookie = blake(128, put_endpoint(addr), self.secret)
        if self.o.cookies and data[-16:] != blake(128, data[:92], cookie):
            random24 = os.urandom(24)
            aead, short = xaead(blake(256, b"lanemesh cookie" + public(self.x)), random24)
            reply = put(3 << 24, 8) + put(base, 4) + random24
            self.udp.sendto(reply + aead.encrypt(short, cookie, data[-32:-16]), addr)
            counts["cookies given"] += 1
            return
        noise = self.noise(False, self.key)
        peer, lanes = self.peer_of(noise.read(data[12:-32]), base)
        check(x_public(peer.key) == noise.rs, "message 1: certificate of another")
        check(noise.re not in peer.ephemerals, "message 1: replay")
        peer.ephemerals.append(noise.re)
        half = [s for s in peer.sessions.values() if s.state == "half"]
        if len(half) >= 4:
            self.forget(half[0])
        mine = self.new_base()
        message = put(2 << 24, 8) + put(mine, 4) + put(base, 4) + noise.write(self.payload(mine))
        self.add(Session(peer, False, mine, base, addr, (self.o.lanes, lanes), noise))
        self.udp.sendto(self.macs(message, peer.key), addr)

    def message2(self, data, base, addr):
        check(len(data) >= 96, "message 2: length")
        self.check_mac1(data)
        shake = self.bases.get(number(data[12:16]))
        asked = isinstance(shake, SimpleNamespace) and addr in shake.sent
        check(asked, "message 2: not asked for")
        noise = copy.copy(shake.noise)
        peer, lanes = self.peer_of(noise.read(data[16:-32]), base)
        check(peer is shake.peer, "message 2: of another")
        del peer.handshakes[shake.base]
        self.add(Session(peer, True, shake.base, base, addr, (self.o.lanes, lanes), noise))

    def cookie(self, data, base, addr):
        check(len(data) == 68, "cookie reply: length")
        shake = self.bases.get(base)
        asked = isinstance(shake, SimpleNamespace) and addr in shake.sent
        check(asked, "cookie reply: not asked for")
        aead, short = xaead(blake(256, b"lanemesh cookie" + x_public(shake.peer.key)), data[12:36])
        cookie = opened(aead, short, data[36:], shake.sent[addr][-32:-16], "cookie reply")
        self.cookies[addr] = cookie, now() + 120
        counts["cookies taken"] += 1
        if addr in shake.again:
            shake.again.remove(addr)
            self.send_message1(shake, addr, cookie)

    def add(self, session):
        self.bases[session.base] = session.peer.sessions[session.base] = session

    def forget(self, session):
        del self.bases[session.base], session.peer.sessions[session.base]
        if session.peer.current is session:
            session.peer.current = None

    def confirm(self, session):
        """The session is known to work both ways."""
        peer, old, greater = session.peer, session.peer.current, self.key > session.peer.key
        session.state, session.confirmed, session.end = "up", now(), now() + 1.5 * self.o.rekey
        peer.current = session
        peer.retry()
        if old:
            old.state, old.end = "old", now() + 10
        if not session.initiator:
            for base in peer.handshakes:
                del self.bases[base]
            peer.handshakes.clear()
        for other in list(peer.sessions.values()):
            if session.initiator and greater and other.state == "half":
                self.forget(other)
            elif not session.initiator and not greater and other.state == "probing":
                other.state, other.end = "old", now() + 10
        role = "initiator" if session.initiator else "responder"
        counts[f"sessions as {role}"] += 1
        log(peer.cert.name, f"session {session.base:08x} up as {role} at", *session.addr)
        self.send(session, [(ANNOUNCEMENT, self.ann.data)])

    # -- 6, 7. transport

    def send(self, session, frames, addr=None):
        self.udp.sendto(session.transport(frames), addr or session.addr)

    def probe(self, session):
        token = os.urandom(8)
        session.tokens.add(token)
        self.send(session, [(PROBE, token), (PAD, bytes(17))])

    def heard(self, session):
        session.heard, session.silent = now(), None
        if session.state == "probing":
            self.confirm(session)

    def transport(self, data, base, addr):
        check(len(data) >= 36, "transport: length")
        session = self.bases.get(base)
        check(isinstance(session, Session), "transport: no session")
        frames = session.open(data)
        if session.state == "half" and CLOSE not in frames:
            self.confirm(session)
        self.heard(session)
        if PROBE in frames:
            self.send(session, [(PROBE_REPLY, frames[PROBE] + put_endpoint(addr))], addr)
        if PROBE_REPLY in frames and frames[PROBE_REPLY][0] in session.tokens:
            session.tokens.clear()
            counts["probes answered"] += 1
        if ANNOUNCEMENT in frames:
            self.announced(frames[ANNOUNCEMENT], session)
        if CLOSE in frames:
            reason, used = frames[CLOSE], session.peer.current is session
            log(session.peer.cert.name, f"closes {base:08x}, reason {reason}", "in use" * used)
            counts[f"closed, reason {reason}" + ", in use" * used] += 1
            self.forget(session)
            if used:
                session.peer.retry({2: 0, 3: 10}.get(reason, random.uniform(1, 2)))

    # -- 8. traffic

    def esp(self, data):
        session = self.bases.get(number(data[:4]) & ~63)
        known = isinstance(session, Session) and session.state != "half"
        check(known, "esp: unknown spi")
        packet = session.open_esp(data)
        self.heard(session)
        counts["esp received"] += 1
        if not packet:
            return
        v4 = packet[0] >> 4 == 4
        source, target = (packet[12:16], packet[16:20]) if v4 else (packet[8:24], packet[24:40])
        source, target = ipaddress.ip_address(source), ipaddress.ip_address(target)
        icmp = packet[(packet[0] & 15) * 4 if v4 else 40:]
        check(holds(self.cert, target), "inner: not ours")
        if len(icmp) < 8 or (packet[9] if v4 else packet[6]) != (1 if v4 else 58):
            return
        if icmp[0] == (8 if v4 else 128):
            counts["echoes answered"] += 1
            self.send_icmp(target, source, bytes([0 if v4 else 129]) + icmp[1:])
        elif icmp[0] == (0 if v4 else 129) and (to := self.waiting.pop(icmp[4:8], None)):
            self.pings[to][1] += 1

    def route(self, ip):
        def rank(peer):
            prefixes = peer.ann.prefixes if peer.ann else []
            return 129 if ip in peer.cert.overlays else max(
                (p.prefixlen for p in prefixes if ip in p), default=-1)

        peer = max(self.peers.values(), key=rank, default=None)
        return peer.current if peer and rank(peer) >= 0 else None

    def send_icmp(self, source, target, icmp):
        def summed(data, at, pseudo=b""):
            """With the checksum at that place, which holds zeros."""
            words = (pseudo + data).ljust(len(pseudo + data) + 1 & ~1, b"\0")
            n = sum(struct.unpack(f"!{len(words) // 2}H", words)) % 0xFFFF
            return data[:at] + put(0xFFFF - n, 2) + data[at + 2:]

        icmp, addresses = icmp[:2] + bytes(2) + icmp[4:], source.packed + target.packed
        if source.version == 4:
            head = struct.pack("!BxH4xBBxx", 0x45, 20 + len(icmp), 64, 1) + addresses
            packet = summed(head, 10) + summed(icmp, 2)
        else:
            head = struct.pack("!IHBB", 6 << 28, len(icmp), 58, 64) + addresses
            packet = head + summed(icmp, 2, addresses + put(len(icmp), 4) + put(58, 4))
        session = self.route(target)
        if session:
            self.udp.sendto(session.seal_esp(packet), session.addr)
        return bool(session)

    async def ping(self):
        n = 0
        while True:
            for to in self.pings:
                ip, n = ipaddress.ip_address(to), n + 1
                own = next(a for a in self.cert.overlays if a.version == ip.version)
                echo = bytes([8 if ip.version == 4 else 128, 0, 0, 0]) + put(n, 4)
                if self.send_icmp(own, ip, echo + b"interop" * 8):
                    self.waiting[put(n, 4)] = to
                    self.pings[to][0] += 1
            await asyncio.sleep(0.1)

    # -- what happens without a datagram

    def addresses(self, peer):
        """Where to call a peer: never inside the mesh."""
        if peer.current:
            return [peer.current.addr]
        usable = []
        for _, addr in peer.ann.endpoints if peer.ann else []:
            ip = ipaddress.ip_address(addr[0])
            if ip.version == ipaddress.ip_address(self.o.address[0]).version and not any(
                    holds(p.cert, ip, 1) for p in self.peers.values()):
                usable.append(addr)
        return usable

    def tick_peer(self, peer):
        for shake in [s for s in peer.handshakes.values() if s.end < now()]:
            del peer.handshakes[shake.base], self.bases[shake.base]
        for session in list(peer.sessions.values()):
            if session.end < now():
                self.forget(session)
            elif session.state == "probing" and session.next_probe <= now():
                session.next_probe = now() + (session.waits.pop(0) if session.waits else 2)
                self.probe(session)
        session = peer.current
        if session and now() - session.heard > 5 and now() >= session.next_probe:
            session.silent, session.next_probe = session.silent or now(), now() + 1
            self.probe(session)
        if session and session.silent and now() - session.silent > 8:
            log(peer.cert.name, "is silent")
            for s in list(peer.sessions.values()):
                self.forget(s)
            peer.retry()
        self.call_if_due(peer)

    def call_if_due(self, peer):
        session = peer.current
        rekey = self.o.rekey * (1 if session and session.initiator else 9 / 8)
        probing = any(s.state == "probing" and (not session or s.made > session.confirmed)
                      for s in peer.sessions.values())
        if self.o.passive or probing or now() < peer.next_try or \
                session and now() - session.confirmed < rekey:
            return
        if addresses := self.addresses(peer):
            for _ in range(1 if session or peer.tries else self.o.burst):
                self.call(peer, addresses)
            peer.next_try = now() + min(10, 0.25 * 2**peer.tries) * random.uniform(0.75, 1.25)
            peer.tries += 1

    async def tick(self):
        while True:
            for peer in self.peers.values():
                self.tick_peer(peer)
            await asyncio.sleep(0.02)

    # -- 10. coordinator

    async def coordinator(self):
        while True:
            try:
                await self.coordinator_once()
            except (OSError, EOFError, Bad, asyncio.TimeoutError) as e:
                log("coordinator:", repr(e))
                counts[f"coordinator: {e!r}"] += 1
            await asyncio.sleep(0.5)

    async def coordinator_once(self):
        host, port, key = self.o.coordinator
        reader, writer = await asyncio.open_connection(host, port)

        async def get():
            length = number(await reader.readexactly(2))
            check(length, "length 0")
            return await reader.readexactly(length)

        prologue = b"lanemesh-coord 1\0" + self.mesh
        noise = Noise(prologue, True, self.x, x_public(key))
        writer.write(put_block(noise.write(self.cert.data)))
        hello = noise.read(await asyncio.wait_for(get(), 5))
        check(len(hello) == 24, "hello")
        to, back = (ChaCha20Poly1305(k[:32]) for k in hkdf(noise.ck, b"", 2))
        sent = received = 0

        def send(kind, body):
            nonlocal sent
            writer.write(put_block(to.encrypt(nonce(sent), bytes([kind]) + body, None)))
            sent += 1

        try:
            send(1, put_block(self.ann.data))
            send(3, bytes(24))
            asked = False
            while True:
                try:
                    record = await asyncio.wait_for(get(), 10 if asked else 20)
                except asyncio.TimeoutError:
                    check(not asked, "silent")
                    asked = True
                    send(8, os.urandom(8))
                    continue
                asked = False
                self.directory(Reader(opened(back, nonce(received), record, None, "record")), send)
                received += 1
        finally:
            writer.close()

    def directory(self, r, send):
        kind = r.u(1)
        if kind == 2:  # PUBLISHED
            if (sequence := r.u(8)) > self.ann.sequence:
                self.announce(sequence + 1)
                send(1, put_block(self.ann.data))
        elif kind == 4:  # RECORD
            r.u(8)
            cert, ann = r.block(), r.block()
            if cert[1:33] != self.key:
                peer = self.member(cert)
                self.announced(ann)
                log("directory:", peer.cert.name, *peer.ann.endpoints)
        elif kind == 7:  # SYNCED
            log("directory in step:", r.take(16).hex(), r.u(8))
        elif kind == 8:  # PING
            send(9, r.take(8))
        elif kind == 10:  # ERROR
            raise Bad(f"error {r.u(8)}: {r.block().decode()}")
        else:
            return
        r.end()

    async def run(self):
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=self.o.address)
        tasks = [asyncio.create_task(t()) for t in (self.coordinator, self.tick, self.ping)]
        loop.add_signal_handler(signal.SIGTERM, lambda: [t.cancel() for t in tasks])
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            for peer in self.peers.values():
                for session in peer.sessions.values():
                    self.send(session, [(CLOSE, b"\1")])
            await asyncio.sleep(0.1)
        sent, answered = (sum(p[i] for p in self.pings.values()) for i in (0, 1))
        print(json.dumps({**counts, "pings sent": sent, "pings answered": answered}))


def armoured(path):
    with open(path, encoding="ascii") as f:
        return base64.b64decode("".join(line for line in f if not line.startswith("-----")))


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def coordinator(text):
    addr, key = text.split("=")
    return *endpoint(addr), bytes.fromhex(key)


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--key", type=armoured, required=True)
    p.add_argument("--cert", type=armoured, required=True)
    p.add_argument("--authority", type=bytes.fromhex, required=True)
    p.add_argument("--psk", type=bytes.fromhex, default=bytes(32))
    p.add_argument("--address", type=endpoint, required=True, help="to listen on and to announce")
    p.add_argument("--coordinator", type=coordinator, required=True, metavar="ADDRESS:PORT=KEY")
    p.add_argument("--lanes", type=int, default=2, help="to send on")
    p.add_argument("--rekey", type=float, default=120, help="seconds")
    p.add_argument("--passive", action="store_true", help="never start a handshake")
    p.add_argument("--hidden", action="store_true", help="announce no endpoint")
    p.add_argument("--cookies", action="store_true", help="ask everybody for a cookie")
    p.add_argument("--burst", type=int, default=1, help="start so many handshakes at first")
    p.add_argument("--ping", action="append", default=[], metavar="ADDRESS")
    return p.parse_args()


if __name__ == "__main__":
    asyncio.run(Node(options()).run())
