#!/usr/bin/env python3
"""A whole client of the protocol in client-protocol.md, with nothing but the standard library.

    python3 docs/client.py 127.0.0.1:7201 read k1
    python3 docs/client.py 127.0.0.1:7201 write k1 one
    python3 docs/client.py 127.0.0.1:7201 cas k1 one two     # sets two if one is there
    python3 docs/client.py 127.0.0.1:7201 cas k1 - one       # sets one if k1 was never written
    python3 docs/client.py 127.0.0.1:7201 put k2 one         # without Paxos, last write wins; so is get
    python3 docs/client.py 127.0.0.1:7201 get k2
    python3 docs/client.py --expect mine/n1 127.0.0.1:7201 read k1      # of n1 of the cluster mine, or of no cluster
"""

import random
import socket
import struct
import sys
import zlib

PROTOCOL = 3
HELLO, WELCOME, REFUSED, REQUEST, RESPONSE = 1, 2, 3, 4, 5
ONE, QUORUM = 0, 1
REASONS = [
    "busy", "too_many_in_flight", "timeout_in_queue", "no_quorum_before_propose", "timeout",
    "superseded", "aborted", "evicted", "resent_elsewhere", "stopping", "too_old", "forwarded", "contention",
]


def varint(number):
    """LEB128: seven bits a byte, lowest first, high bit set on all but the last."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(data):
    return varint(len(data)) + data


def option(data):
    return b"\0" if data is None else b"\1" + text(data)


class Reader:
    """Takes fields off the front of a payload."""

    def __init__(self, payload):
        self.payload, self.at = payload, 0

    def varint(self):
        number = shift = 0
        while True:
            byte = self.payload[self.at]
            self.at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def text(self):
        length = self.varint()
        self.at += length
        return self.payload[self.at - length : self.at]

    def option(self):
        return self.text() if self.varint() else None


class Client:
    def __init__(self, host, port, timeout=5.0, cluster=None, node=None):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # No other client of the cluster may ever use this number; the operations under it are counted from 1.
        self.number, self.sequence = random.getrandbits(64), 0
        # A node other than the one that is named here refuses; the address alone proves nothing.
        self.send(HELLO, varint(PROTOCOL) + text(b"client.py") + option(cluster) + option(node))
        welcome = self.receive(WELCOME)
        # The version comes first in every version: what follows may have another layout.
        version = welcome.varint()
        if version != PROTOCOL:
            raise ConnectionError(f"the node speaks client protocol {version}, this client {PROTOCOL}")
        self.cluster, self.node, self.folder = welcome.text().decode(), welcome.text().decode(), welcome.varint()

    def send(self, kind, payload):
        head = b"hk" + struct.pack("<BBI", 1, kind, len(payload))
        self.socket.sendall(head + struct.pack("<II", zlib.crc32(head), zlib.crc32(payload)) + payload)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("closed by the node: every open operation is unknown")
            data += more
        return data

    def receive(self, expected):
        head = self.exactly(16)
        version, kind, length, head_crc, payload_crc = struct.unpack("<BBIII", head[2:])
        assert head[:2] == b"hk" and version == 1 and head_crc == zlib.crc32(head[:8]), "not a frame"
        payload = self.exactly(length)
        assert payload_crc == zlib.crc32(payload), "a damaged payload"
        if kind == REFUSED:
            raise ConnectionError("refused: " + Reader(payload).text().decode())
        assert kind == expected, f"frame of kind {kind} where {expected} was expected"
        return Reader(payload)

    def call(self, key, call, timeout_us=1_000_000):
        """Sends one operation, once, and gives its outcome: a name, and what comes with it."""
        self.sequence += 1
        first = varint(0)
        self.send(REQUEST, varint(self.number) + varint(self.sequence) + text(key) + varint(timeout_us) + first + call)
        answer = self.receive(RESPONSE)
        assert (answer.varint(), answer.varint()) == (self.number, self.sequence), "a reply to another request"
        outcome = answer.varint()
        if outcome == 0:
            return "applied", None
        if outcome in (1, 2):
            return ("condition_not_met" if outcome == 1 else "value"), answer.option()
        if outcome in (3, 4):
            return ("not_applied" if outcome == 3 else "unknown"), REASONS[answer.varint()].encode()
        return "invalid", answer.text()

    def read(self, key):
        return self.call(key, varint(0))

    def write(self, key, new):
        return self.call(key, varint(1) + text(new))

    def cas(self, key, expected, new):
        return self.call(key, varint(2) + option(expected) + text(new))

    def put(self, key, new):
        return self.call(key, varint(4) + text(new) + varint(QUORUM))

    def get(self, key):
        return self.call(key, varint(5) + varint(QUORUM))


def main(address, verb, key, *values, cluster=None, node=None):
    host, port = address.rsplit(":", 1)
    client = Client(host, int(port), cluster=cluster, node=node)
    key, values = key.encode(), [value.encode() for value in values]
    if verb == "read":
        outcome, detail = client.read(key)
    elif verb == "write":
        outcome, detail = client.write(key, *values)
    elif verb == "cas":
        outcome, detail = client.cas(key, None if values[0] == b"-" else values[0], values[1])
    elif verb == "put":
        outcome, detail = client.put(key, *values)
    elif verb == "get":
        outcome, detail = client.get(key)
    else:
        sys.exit(__doc__)
    print(outcome if detail is None else f"{outcome} {detail.decode()}")


if __name__ == "__main__":
    arguments, expected = sys.argv[1:], {}
    if arguments[:1] == ["--expect"] and "/" in "".join(arguments[1:2]):
        cluster, node = arguments[1].rsplit("/", 1)
        arguments, expected = arguments[2:], {"cluster": cluster.encode(), "node": node.encode()}
    main(*arguments, **expected) if len(arguments) > 2 else sys.exit(__doc__)
