"""Who is in the answers, and since when: a client that never stops asking, and the servers it asks."""

import multiprocessing
import socket
import struct
import subprocess
import sys
import time

from network import die_with_us
from servers import DNS_PORT, ZONE, start


def question(identity):
    """For the A records of a pool."""
    labels = b"".join(bytes([len(label)]) + label for label in f"p{identity}.{ZONE}".encode().split(b"."))
    return struct.pack(">6H", identity, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def addresses(reply):
    """The A records of its answer."""
    def after_name(at):
        while reply[at] and reply[at] < 0xC0:
            at += reply[at] + 1
        return at + (2 if reply[at] else 1)

    found, at = set(), after_name(12) + 4
    for _ in range(struct.unpack(">H", reply[6:8])[0]):
        at = after_name(at)
        kind, length = struct.unpack(">H6xH", reply[at : at + 10])
        if kind == 1:
            found.add(socket.inet_ntoa(reply[at + 10 : at + 14]))
        at += 10 + length
    return found


def watch(places, pools, pause, news):
    """Asks each server for each of so many pools, again and again; tells who left an answer or came back, and when."""
    die_with_us()
    clients = {}
    for place in places:
        clients[place] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        clients[place].connect(("127.0.0.1", DNS_PORT + place))
        clients[place].settimeout(0.2)
    questions = [question(i) for i in range(pools)]
    known = {(place, i): frozenset() for place in places for i in range(pools)}
    due = time.monotonic()
    while True:
        asked = time.monotonic()
        if asked - due > 0.001:
            news.send(("late", asked, None, asked - due))
        for client in clients.values():
            for each in questions:
                try:
                    client.send(each)
                except OSError:
                    pass  # not there yet
        for place, client in clients.items():
            for _ in questions:
                try:
                    reply = client.recv(4096)
                except OSError:
                    break
                i = struct.unpack(">H", reply[:2])[0]
                now, before = addresses(reply), known[place, i]
                if now != before:
                    known[place, i] = now
                    for member in now - before:
                        news.send(("in", asked, place, member))
                    for member in before - now:
                        news.send(("out", asked, place, member))
        due = asked + pause
        time.sleep(max(0.0, due - time.monotonic()))


class Stage:
    """Servers that watch the same pools, and what the client sees of them."""

    def __init__(self, servers, folder, binary):
        self.servers, self.folder, self.binary = servers, folder, binary
        self.processes, self.client, self.late = {}, None, 0.0

    def begin(self, pools, pause):
        """Comes back when every server has answered with every member."""
        self.everybody = {ip for pool in pools for ip in pool}
        self.present = {place: set() for place in self.servers}
        for place, server in self.servers.items():
            self.processes[place] = start(place, server, pools, self.folder / str(place), self.binary)
        self.news, far_end = multiprocessing.Pipe(duplex=False)
        arguments = (list(self.servers), len(pools), pause, far_end)
        self.client = multiprocessing.Process(target=watch, args=arguments, daemon=True)
        self.client.start()
        self.hear_until(self.is_whole, 30)
        for place in self.servers:
            if missing := self.missing(place):
                sys.exit(f"{self.servers[place].name} does not answer with {len(missing)} members:\n{self.log(place)}")
        self.hear_for(3.0)  # the first round is over everywhere
        self.late = 0.0

    def is_whole(self):
        return not any(map(self.missing, self.servers))

    def missing(self, place):
        return self.everybody - self.present[place]

    def lacks(self, member):
        """Nobody answers with it."""
        return not any(member in answered for answered in self.present.values())

    def hear_until(self, reached, seconds):
        """What happens until then, at most for so long: `in` or `out`, when, which server, which member."""
        heard, end = [], time.monotonic() + seconds
        while not reached() and (left := end - time.monotonic()) > 0:
            self.look_after()
            if not self.news.poll(min(left, 0.5)):
                continue
            kind, when, place, what = self.news.recv()
            if kind == "late":
                self.late = max(self.late, what)
                continue
            (self.present[place].add if kind == "in" else self.present[place].discard)(what)
            heard.append((kind, when, place, what))
        return heard

    def hear_for(self, seconds):
        return self.hear_until(lambda: False, seconds)

    def look_after(self):
        for place, process in self.processes.items():
            if process.poll() is not None:
                sys.exit(f"{self.servers[place].name} ended with {process.returncode}:\n{self.log(place)}")

    def log(self, place):
        return (self.folder / str(place) / "log").read_text()[-2000:]

    def end(self):
        if self.client:
            self.client.kill()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
