"""Members: HTTP servers, each a process of its own, and what may happen to them."""

import heapq
import multiprocessing
import os
import selectors
import signal
import socket
import sys
import time

from network import die_with_us, enter

TOO_LATE = 5.0  # seconds until a slow member replies: longer than any timeout here
WELL, BROKEN, SLOW = range(3)


class Member:
    """An HTTP server at one address (or at all), on each server's port."""

    def __init__(self, network, address, ports):
        self.network, self.address, self.ports = network, address, ports
        self.state = multiprocessing.Value("i", WELL, lock=False)
        self.appear()

    def appear(self):
        """A new process; comes back when it listens."""
        listens = multiprocessing.Event()
        self.process = multiprocessing.Process(target=self.serve, args=(listens,), daemon=True)
        self.process.start()
        if not listens.wait(10):
            sys.exit(f"{self.address} does not listen")

    def send(self, number):
        os.kill(self.process.pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.join()

    def serve(self, listens):
        die_with_us(signal.SIGKILL)  # a stopped process hears nothing else
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        enter(self.network.far)
        events = selectors.DefaultSelector()
        for port in self.ports:
            listener = socket.create_server((self.address, port), backlog=1024)
            listener.setblocking(False)
            events.register(listener, selectors.EVENT_READ, self.accept)
        self.events, self.later = events, []
        listens.set()
        while True:
            for key, _ in events.select(0.1 if self.later else None):
                key.data(key.fileobj)
            while self.later and self.later[0][0] < time.monotonic():
                self.reply(heapq.heappop(self.later)[2])

    def accept(self, listener):
        try:
            client, _ = listener.accept()
        except OSError:
            return
        client.setblocking(False)
        self.events.register(client, selectors.EVENT_READ, self.hear)

    def hear(self, client):
        try:
            heard = client.recv(4096)
        except OSError:
            heard = b""
        if heard and not heard.endswith(b"\r\n\r\n"):
            return  # probes are short: the rest comes with the next packet
        self.events.unregister(client)
        if heard and self.state.value == SLOW:
            heapq.heappush(self.later, (time.monotonic() + TOO_LATE, id(client), client))
        elif heard:
            self.reply(client)
        else:
            client.close()

    def reply(self, client):
        status = b"503 Service Unavailable" if self.state.value == BROKEN else b"200 OK"
        try:
            client.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
        except OSError:
            pass
        client.close()


def sends(number):
    return lambda member: member.send(number)


def becomes(state):
    return lambda member: setattr(member.state, "value", state)


def cut(verb):
    return lambda member: member.network.cut(member.address, verb)


# What happens to a member, and what undoes it.
FAULTS = {
    "killed (-9)": (sends(signal.SIGKILL), Member.appear),
    "stopped (TERM)": (sends(signal.SIGTERM), Member.appear),
    "frozen (SIGSTOP)": (sends(signal.SIGSTOP), sends(signal.SIGCONT)),
    "cut off (packets dropped)": (cut("add"), cut("delete")),
    "answers 503": (becomes(BROKEN), becomes(WELL)),
    f"answers after {TOO_LATE:.0f} s": (becomes(SLOW), becomes(WELL)),
}
