#!/usr/bin/env python3
"""The clients of heckle, in driver protocol 1: one JSON object a line, in on standard input, out on standard output.

What you change is `Client`. Three rules keep verdicts true:
  ok       it happened, and this is what was seen;
  fail     it is proved not to have happened and never will, such as a refused connection;
  unknown  everything else: timeouts, resets, errors that may come after the write.
Send each operation once. Switch off the retries of your client library.
"""
import json, queue, socket, sys, threading


class NotSent(Exception):
    """The operation did not leave this process: `fail`."""


class Client:
    """One connection to one node. It is dropped after an unknown outcome."""

    def __init__(self, address, timeout):
        host, port = address.rsplit(":", 1)
        try:
            self.socket = socket.create_connection((host, int(port)), timeout)
        except ConnectionRefusedError as error:
            raise NotSent(str(error))
        self.lines = self.socket.makefile("r")

    def call(self, op, timeout):
        """Gives what goes under `ok`. Any exception but NotSent becomes `unknown`."""
        self.socket.settimeout(timeout)
        if op["call"] == "read":
            return {"value": self.ask({"do": "read", "key": op["key"]})["value"]}
        if op["call"] == "write":
            self.ask({"do": "write", "key": op["key"], "value": op["new"]})
            return {}
        # A compare-and-set: `expected` is null for a key that was never written. Answer {"applied": true}, or
        # {"applied": False, "current": value}; leave `current` out if your database does not tell it.
        raise NotSent("the toy has no compare-and-set")

    def ask(self, request):
        self.socket.sendall((json.dumps(request) + "\n").encode())
        line = self.lines.readline()
        if not line:
            raise ConnectionError("closed by the server")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


# Nothing below depends on the database.
CALLS = ["read", "write"]
output = threading.Lock()


def say(message):
    with output:
        print(json.dumps(message), flush=True)


def serve(address, operations):
    """One client of heckle: it has one operation open at a time."""
    client = None
    while True:
        op = operations.get()
        timeout = op["timeout_ms"] / 1000
        try:
            client = client or Client(address, timeout)
            say({"id": op["id"], "ok": client.call(op, timeout)})
        except NotSent as error:
            say({"id": op["id"], "fail": str(error)})
        except Exception as error:
            say({"id": op["id"], "unknown": f"{type(error).__name__}: {error}"})
            return


def main():
    hello = json.loads(sys.stdin.readline())
    addresses = {node["name"]: node["client"] for node in hello["nodes"]}
    say({"heckle": 1, "calls": CALLS, "driver": "skeleton 1"})
    clients = {}
    for line in sys.stdin:
        op = json.loads(line)
        if op["client"] not in clients:
            clients[op["client"]] = queue.SimpleQueue()
            arguments = (addresses[op["node"]], clients[op["client"]])
            threading.Thread(target=serve, args=arguments, daemon=True).start()
        clients[op["client"]].put(op)


main()
