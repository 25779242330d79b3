#!/usr/bin/env python3
"""A toy database for heckle's skeleton: registers, replicated by majorities (Attiya, Bar-Noy, Dolev 1995). Replace it by your own.

server.py ID CLIENT-ADDRESS PEER-ADDRESS PEERS DATA-FOLDER
A read or write asks all replicas for their newest version, waits for a majority, and stores the result at a majority.
"""
import asyncio, json, os, sys, time

STALE_READS = os.environ.get("STALE_READS") == "1"


class Replica:
    """What this node stores: the newest version of each key, on disk before it is acknowledged."""

    def __init__(self, folder):
        self.newest = {}
        path = os.path.join(folder, "log.jsonl")
        self.log = open(path, "a+b")
        self.log.seek(0)
        whole = 0
        for line in self.log:
            # The last line may be torn: it was not acknowledged.
            if line.endswith(b"\n"):
                key, version, value = json.loads(line)
                self.newest[key] = (version, value)
                whole += len(line)
        self.log.truncate(whole)

    def get(self, key):
        return self.newest.get(key, ([0, "", 0], None))

    def put(self, key, version, value):
        if version > self.get(key)[0]:
            self.log.write((json.dumps([key, version, value]) + "\n").encode())
            self.log.flush()
            os.fsync(self.log.fileno())
            self.newest[key] = (version, value)


idle = {}


async def exchange(address, request):
    """One request to a peer. A connection that failed is not used again."""
    host, port = address.rsplit(":", 1)
    pool = idle.setdefault(address, [])
    reader, writer = pool.pop() if pool else await asyncio.open_connection(host, int(port))
    try:
        writer.write((json.dumps(request) + "\n").encode())
        answer = json.loads(await reader.readline())
    except BaseException:
        writer.close()
        raise
    pool.append((reader, writer))
    return answer


class Node:
    def __init__(self, name, peers, replica):
        self.name, self.peers, self.replica = name, peers, replica

    def local(self, request):
        if request["do"] == "get":
            version, value = self.replica.get(request["key"])
            return {"version": version, "value": value}
        self.replica.put(request["key"], request["version"], request["value"])
        return {}

    async def majority(self, request):
        """The answers of a majority, this node's included."""
        answers, needed = [self.local(request)], (len(self.peers) + 1) // 2 + 1
        waiting = [asyncio.ensure_future(asyncio.wait_for(exchange(peer, request), 2)) for peer in self.peers]
        for answered in asyncio.as_completed(waiting):
            if len(answers) >= needed:
                break
            try:
                answers.append(await answered)
            except (OSError, ValueError, asyncio.TimeoutError):
                pass
        # The others go on in the background: a put must reach every replica that lives.
        for rest in waiting:
            rest.add_done_callback(lambda done: done.cancelled() or done.exception())
        if len(answers) < needed:
            raise RuntimeError("no majority")
        return answers

    async def later(self, request):
        await asyncio.sleep(0.1)
        await self.majority(request)

    async def serve(self, request):
        key = request["key"]
        if STALE_READS:
            # The planted bug: this node answers alone, and the others hear of it later.
            version, value = self.replica.get(key)
            if request["do"] == "read":
                return {"value": value}
            version, value = [version[0] + 1, self.name, time.time_ns()], request["value"]
            put = {"do": "put", "key": key, "version": version, "value": value}
            self.local(put)
            asyncio.ensure_future(self.later(put)).add_done_callback(lambda done: done.exception())
            return {}
        answers = await self.majority({"do": "get", "key": key})
        newest = max(answers, key=lambda answer: answer["version"])
        version, value = newest["version"], newest["value"]
        if request["do"] == "write":
            version, value = [version[0] + 1, self.name, time.time_ns()], request["value"]
        # A read stores what it saw at a majority, too, or a later read could miss it.
        if version[0] > 0:
            await self.majority({"do": "put", "key": key, "version": version, "value": value})
        return {"value": value}

    async def connection(self, reader, writer):
        try:
            while line := await reader.readline():
                request = json.loads(line)
                try:
                    answer = self.local(request) if request["do"] in ("get", "put") else await self.serve(request)
                except RuntimeError as error:
                    answer = {"error": str(error)}
                writer.write((json.dumps(answer) + "\n").encode())
                await writer.drain()
        except (OSError, ValueError):
            pass
        finally:
            writer.close()


async def main(name, client, peer, peers, folder):
    node = Node(name, [address for address in peers.split(",") if address], Replica(folder))
    for address in (peer, client):
        host, port = address.rsplit(":", 1)
        await asyncio.start_server(node.connection, host, int(port), backlog=1024)
    await asyncio.Event().wait()


if sys.argv[1:] == ["--version"]:
    print("toy 1")
else:
    asyncio.run(main(*sys.argv[1:]))
