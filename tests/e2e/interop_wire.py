# SPDX-License-Identifier: BSD-3-Clause
"""What is on lanemesh's wire, for interop_node.py, which says more.

Numbers in comments are the sections of lib/wire/PROTOCOL.md, from which alone this was written.
"""
import hashlib
import hmac as hmac_module
import ipaddress
import struct
import time
from types import SimpleNamespace

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

now = time.monotonic


class Bad(Exception):
    """What came has to be dropped, and why."""


def check(good, why):
    if not good:
        raise Bad(why)


# ------------------------------------------------------------------ 1. primitives


def put(value, size):
    return value.to_bytes(size, "big")


def number(data):
    return int.from_bytes(data, "big")


def public(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def blake(bits, data, key=b""):
    return hashlib.blake2b(data, digest_size=bits // 8, key=key).digest()


def hmac(key, data):
    return hmac_module.new(key, data, hashlib.blake2b).digest()


def hkdf(ck, material, n):
    temp, out = hmac(ck, material), [b""]
    for i in range(1, n + 1):
        out.append(hmac(temp, out[-1] + bytes([i])))
    return out[1:]


def opened(aead, nonce, data, ad, what):
    try:
        return aead.decrypt(nonce, data, ad)
    except InvalidTag:
        raise Bad(f"{what}: tag") from None


def nonce(n):
    return bytes(4) + n.to_bytes(8, "little")


def xaead(key, nonce24):
    """The AEAD and the nonce that together are XChaCha20-Poly1305."""
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce24[:16]))
    for i in range(80):
        col, diagonal = i % 4, i // 4 % 2
        a, b, c, d = (row * 4 + (col + row * diagonal) % 4 for row in range(4))
        for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = (s[z] ^ s[x]) << bits
            s[z] = (s[z] | s[z] >> 32) & 0xFFFFFFFF
    return ChaCha20Poly1305(struct.pack("<8I", *s[:4], *s[12:])), bytes(4) + nonce24[16:]


def x_public(ed):
    """The X25519 image of an Ed25519 public key."""
    p = 2**255 - 19
    y = int.from_bytes(ed, "little") & (1 << 255) - 1
    return ((1 + y) * pow(1 - y, -1, p) % p).to_bytes(32, "little")


class Noise:
    """One handshake, as IK or (with a psk) as IKpsk2."""

    def __init__(self, prologue, initiator, s, responder, psk=None):
        name = f"Noise_IK{'' if psk is None else 'psk2'}_25519_ChaChaPoly_BLAKE2b"
        self.h = self.ck = name.encode().ljust(64, b"\0")
        self.initiator, self.s, self.psk = initiator, s, psk
        self.e, self.re, self.rs = None, None, responder if initiator else None
        self.mix_hash(prologue)
        self.mix_hash(responder)

    def mix_hash(self, data):
        self.h = blake(512, self.h + data)

    def mix_key(self, material):
        self.ck, k = hkdf(self.ck, material, 2)
        self.k, self.n = ChaCha20Poly1305(k[:32]), 0

    def mix_e(self, e):
        self.mix_hash(e)
        if self.psk is not None:
            self.mix_key(e)

    def mix_psk(self):
        if self.psk is not None:
            self.ck, t, k = hkdf(self.ck, self.psk, 3)
            self.mix_hash(t)
            self.k, self.n = ChaCha20Poly1305(k[:32]), 0

    def mix_dh(self, tokens):
        """Initiator's and responder's key of each."""
        for i, r in tokens:
            mine, theirs = (i, r) if self.initiator else (r, i)
            theirs = X25519PublicKey.from_public_bytes(self.re if theirs == "e" else self.rs)
            self.mix_key((self.e if mine == "e" else self.s).exchange(theirs))

    def seal(self, data):
        out = self.k.encrypt(nonce(self.n), data, self.h)
        self.n += 1
        self.mix_hash(out)
        return out

    def open(self, data):
        out = opened(self.k, nonce(self.n), data, self.h, "noise")
        self.n += 1
        self.mix_hash(data)
        return out

    def write(self, payload):
        self.e = X25519PrivateKey.generate()
        out = public(self.e)
        self.mix_e(out)
        if self.initiator:
            self.mix_dh(["es"])
            out += self.seal(public(self.s))
            self.mix_dh(["ss"])
        else:
            self.mix_dh(["ee", "se"])
            self.mix_psk()
        return out + self.seal(payload)

    def read(self, data):
        check(len(data) >= 48, "noise: short")
        self.re, data = data[:32], data[32:]
        self.mix_e(self.re)
        if self.initiator:
            self.mix_dh(["ee", "se"])
            self.mix_psk()
        else:
            self.mix_dh(["es"])
            self.rs, data = self.open(data[:48]), data[48:]
            self.mix_dh(["ss"])
        return self.open(data)


# ------------------------------------------------------------------ 5. records


def put_address(ip):
    return bytes([ip.version]) + ip.packed


def put_endpoint(addr):
    return put_address(ipaddress.ip_address(addr[0])) + put(addr[1], 2)


def put_block(data):
    return put(len(data), 2) + data


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        check(len(self.data) >= n, "short")
        out, self.data = self.data[:n], self.data[n:]
        return out

    def u(self, n, most=2**63 - 1):
        value = number(self.take(n))
        check(value <= most, "number")
        return value

    def block(self):
        return self.take(self.u(2))

    def end(self):
        check(not self.data, "bytes after the end")

    def name(self, most):
        return self.take(self.u(1, most)).decode()

    def address(self, family=None):
        family = family or self.u(1)
        check(family in (4, 6), "family")
        return ipaddress.ip_address(self.take(4 if family == 4 else 16))

    def endpoint(self):
        return str(self.address()), self.u(2)

    def prefix(self):
        family, length = self.take(2)
        return ipaddress.ip_network((self.address(family), length))

    def list(self, most, item):
        items = [item() for _ in range(self.u(1, most))]
        check(len(set(items)) == len(items), "two equal")
        return items


def signed(key, kind, data):
    try:
        context = b"lanemesh " + kind.encode() + b" 1\0"
        Ed25519PublicKey.from_public_bytes(key).verify(data[-64:], context + data[:-64])
    except InvalidSignature:
        raise Bad(f"{kind}: signature") from None


def certificate(data):
    check(data[0] == 1 and len(data) <= 1024, "certificate")
    c, r = SimpleNamespace(data=data), Reader(data[1:-64])
    c.node, c.issuer, c.serial = r.take(32), r.take(32), r.u(8)
    c.not_before, c.not_after, c.roles = r.u(8), r.u(8), r.u(4)
    c.mesh, c.name = r.name(32), r.name(63)
    c.overlays, c.prefixes = r.list(2, r.address), r.list(32, r.prefix)
    c.segments, c.tags = r.list(8, lambda: r.u(4)), r.list(8, lambda: r.name(16))
    r.end()
    return c


def announcement(data):
    check(data[0] == 1 and len(data) <= 1100, "announcement")
    a, r = SimpleNamespace(data=data), Reader(data[1:-64])
    a.node, a.sequence, a.mesh, a.lanes = r.take(32), r.u(8), r.name(32), r.u(1, 64)
    a.endpoints, a.prefixes = r.list(16, lambda: (r.u(1), r.endpoint())), r.list(32, r.prefix)
    r.end()
    signed(a.node, "announcement", data)
    return a


def holds(cert, ip, shortest=0):
    return ip in cert.overlays or any(ip in p for p in cert.prefixes if p.prefixlen >= shortest)


# ------------------------------------------------------------------ 6, 8. sessions

PAD, PROBE, PROBE_REPLY, CLOSE, ANNOUNCEMENT = range(5)


class Window:
    """Numbers seen, of the last so many."""

    def __init__(self, size, first):
        self.size, self.first, self.top, self.seen = size, first, 0, set()

    def check(self, n):
        check(n >= self.first and n > self.top - self.size and n not in self.seen, "replay")

    def take(self, n):
        self.top = max(n, self.top)
        self.seen.add(n)
        if len(self.seen) > 2 * self.size:
            self.seen = {m for m in self.seen if m > self.top - self.size}


class Session:
    def __init__(self, peer, initiator, base, peer_base, addr, lanes, noise):
        k1, k2, self.root = hkdf(noise.ck, b"", 3)
        self.peer, self.initiator, self.addr = peer, initiator, addr
        self.base, self.peer_base = base, peer_base
        keys = (k1, k2) if initiator else (k2, k1)
        self.aead_out, self.aead_in = (ChaCha20Poly1305(k[:32]) for k in keys)
        self.counter, self.window = 0, Window(256, 0)
        self.lanes_out = [[*self.lane(initiator, i), 0] for i in range(lanes[0])]
        self.lanes_in = [[*self.lane(not initiator, i), Window(4096, 1)] for i in range(lanes[1])]
        # First probing (initiator) or half (responder), then up, then old, until the end.
        self.state, self.end = "probing" if initiator else "half", now() + 10
        self.made = self.heard = self.confirmed = self.next_probe = now()
        self.waits, self.tokens, self.silent = [0.25, 0.25, 0.5, 0.5, 1, 1], set(), None

    def lane(self, from_initiator, lane):
        okm = hmac(self.root, b"lanemesh esp" + bytes([not from_initiator, lane, 1]))
        return AESGCM(okm[:32]), okm[32:36]

    def transport(self, frames):
        head = put(4 << 24, 8) + put(self.peer_base, 4) + put(self.counter, 8)
        plain = b"".join(put(kind, 1) + put_block(body) for kind, body in frames)
        self.counter += 1
        return head + self.aead_out.encrypt(nonce(self.counter - 1), plain, head)

    def open(self, data):
        """The frames of a transport message; all are checked before any counts."""
        n = number(data[12:20])
        self.window.check(n)
        r = Reader(opened(self.aead_in, nonce(n), data[20:], data[:20], "transport"))
        self.window.take(n)
        frames = {}
        while r.data:
            kind, body = r.u(1), Reader(r.block())
            if kind == PROBE:
                value = body.take(8)
            elif kind == PROBE_REPLY:
                value = body.take(8), body.endpoint()
            elif kind == CLOSE:
                value = body.u(1)
            elif kind == ANNOUNCEMENT:
                value = body.take(len(body.data))
            else:
                continue
            body.end()
            frames.setdefault(kind, value)
        return frames

    def seal_esp(self, inner):
        v4 = inner[0] >> 4 == 4
        lane = hash(inner[12:20] if v4 else inner[8:40]) % len(self.lanes_out)
        aead, salt, last = self.lanes_out[lane]
        self.lanes_out[lane][2] = last + 1
        head, iv = put(self.peer_base + lane, 4) + put(last + 1, 4), put(last + 1, 8)
        pad = -(len(inner) + 2) % 4
        inner += bytes(range(1, pad + 1)) + bytes([pad, 4 if v4 else 41])
        return head + iv + aead.encrypt(salt + iv, inner, head)

    def open_esp(self, data):
        lane = number(data[:4]) & 63
        check(lane < len(self.lanes_in), "esp: unknown spi")
        check(len(data) >= 36 and len(data) % 4 == 0, "esp: length")
        aead, salt, window = self.lanes_in[lane]
        window.check(number(data[4:8]))
        plain = opened(aead, salt + data[8:16], data[16:], data[:8], "esp")
        window.take(number(data[4:8]))
        pad, kind = plain[-2:]
        inner = plain[:-2 - pad]
        check(plain[len(inner):-2] == bytes(range(1, pad + 1)), "esp: padding")
        if kind == 59:
            return None
        check((kind, inner[0] >> 4) in ((4, 4), (41, 6)), "esp: next header")
        length = number(inner[2:4]) if kind == 4 else 40 + number(inner[4:6])
        check(20 <= length <= len(inner), "esp: inner length")
        source = ipaddress.ip_address(inner[12:16] if kind == 4 else inner[8:24])
        check(holds(self.peer.cert, source), "esp: inner source")
        return inner[:length]
