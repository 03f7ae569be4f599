# SPDX-License-Identifier: BSD-3-Clause
"""Numbered UDP packets: stream.py recv ADDRESS | send ADDRESS PPS SECONDS FLOWS STOP.

The sender ends after SECONDS, or when there is a file STOP.
The receiver ends when the sender says that it is done, and prints one JSON object:
sent, received (different ones), lost, duplicates, reordered (arrived after a later
one of their flow), gap_ms (the longest time without any), gaps_ms (those of 50 ms and
more, in order), first_ms (after the start).
"""
import json
import os
import socket
import struct
import sys
import time

PORT = 7007
SO_RCVBUFFORCE = 33
HEAD = struct.Struct("!QIQ")  # number in its flow, flow, 0 = data, else packets sent in all
FILL = bytes(80)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(address, pps, seconds, flows, stop):
    socks = []
    for _ in range(flows):
        s = socket.socket(family(address), socket.SOCK_DGRAM)
        s.connect((address, PORT))
        socks.append(s)
    begin = time.monotonic()
    sent = 0
    total = int(pps * seconds)
    while sent < total and not os.path.exists(stop):
        due = min(total, int((time.monotonic() - begin) * pps) + 1)
        while sent < due:
            flow = sent % flows
            put(socks[flow], HEAD.pack(sent // flows, flow, 0) + FILL)
            sent += 1
        time.sleep(0.001)
    for _ in range(100):  # until the receiver closes its port, or for long enough
        put(socks[0], HEAD.pack(0, 0, sent))
        time.sleep(0.05)
        if CLOSED:
            break


CLOSED = []


def put(sock, data):
    try:
        sock.send(data)
    except ConnectionRefusedError:
        CLOSED.append(True)
    except OSError as e:  # no route for a moment: a lost packet like any other
        if e.errno not in (101, 113):
            raise


def recv(address):
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    s.bind((address, PORT))
    s.settimeout(50)
    seen, newest = set(), {}
    duplicates = reordered = 0
    begin = time.monotonic()
    first = last = None
    gap = 0.0
    gaps = []
    while True:
        number, flow, sent = HEAD.unpack_from(s.recv(2048))
        if sent:
            break
        now = time.monotonic()
        if first is None:
            first = now
        else:
            gap = max(gap, now - last)
            if now - last >= 0.05:
                gaps.append(round((now - last) * 1000))
        last = now
        if (flow, number) in seen:
            duplicates += 1
            continue
        seen.add((flow, number))
        if number < newest.get(flow, -1):
            reordered += 1
        else:
            newest[flow] = number
    print(json.dumps({"sent": sent, "received": len(seen), "lost": sent - len(seen),
                      "duplicates": duplicates, "reordered": reordered,
                      "gap_ms": round(gap * 1000), "gaps_ms": gaps,
                      "first_ms": round(((first or begin) - begin) * 1000)}))


if sys.argv[1] == "recv":
    recv(sys.argv[2])
else:
    send(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
