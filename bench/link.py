"""The long link: two network namespaces, a round trip of 40 ms and a rate between them.

With netem where the kernel has it. Elsewhere a process carries the packets between two TUN devices and does the same:
each direction has a clock that says when its wire is free again (the rate), a packet that would wait too long is
dropped (the queue), and every packet arrives half a round trip after it was sent. That process is not measured.
"""

import collections
import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import time

CLIENT, SERVER = "10.77.0.1", "10.77.0.2"
MTU = 9000  # few large packets, so that the process keeps up with the rate
# Packets that wait: twice what is under way at full rate, so that one TCP connection can fill the link.
QUEUE_ROUND_TRIPS = 2


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Link:
    def __init__(self, work, rate: int, round_trip: float):
        """`rate`: bytes a second each way, headers included."""
        self.rate, self.round_trip, self.process = rate, round_trip, None
        self.client, self.server = (f"bench-{os.getpid()}-{end}" for end in ("client", "server"))
        try:
            for name in (self.client, self.server):
                _ip("netns", "add", name)
                _ip("-n", name, "link", "set", "lo", "up")
            if self._has_netem():
                self.how = "netem"
                self._netem()
            else:
                self.how = "two TUN devices and a process between them"
                self._carried(work)
            for name, address, peer in ((self.client, CLIENT, SERVER), (self.server, SERVER, CLIENT)):
                _ip("-n", name, "addr", "add", address, "peer", peer, "dev", "far")
                _ip("-n", name, "link", "set", "far", "mtu", str(MTU), "txqueuelen", "4000", "up")
        except BaseException:
            self.end()
            raise

    @staticmethod
    def impossible():
        """Why there can be no such link here; None if there can."""
        if os.geteuid() != 0:
            return "network namespaces need root"
        if not shutil.which("ip") or not shutil.which("tc"):
            return "there is no iproute2"
        return None

    def inside(self, name):
        return ["ip", "netns", "exec", name]

    def _has_netem(self):
        words = ["tc", "-n", self.client, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
        if subprocess.run(words, capture_output=True).returncode != 0:
            return False
        subprocess.run(["tc", "-n", self.client, "qdisc", "del", "dev", "lo", "root"], check=True)
        return True

    def _netem(self):
        _ip("link", "add", "far", "netns", self.client, "type", "veth", "peer", "name", "far", "netns", self.server)
        packets = int(self.rate * self.round_trip * (1 + QUEUE_ROUND_TRIPS) / 1500)
        for name in (self.client, self.server):
            subprocess.run(["tc", "-n", name, "qdisc", "add", "dev", "far", "root", "netem", "delay",
                            f"{self.round_trip * 500}ms", "rate", f"{self.rate * 8}bit", "limit", str(packets)], check=True)

    def _carried(self, work):
        self.log = open(work / "link.log", "w+")
        self.process = subprocess.Popen(
            [sys.executable, "-I", __file__, "carry", self.client, self.server, str(self.rate), str(self.round_trip)],
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.PIPE, start_new_session=True)
        if self.process.stdout.readline() != b"ready\n":
            self.log.seek(0)
            raise RuntimeError(f"the link does not start: {self.log.read()}")

    def carried(self):
        """Bytes that came to the client and that left it, headers included, since the link began."""
        text = subprocess.run([*self.inside(self.client), "cat", "/proc/net/dev"], check=True, capture_output=True,
                              text=True).stdout
        words = next(line for line in text.splitlines() if line.strip().startswith("far:")).split(":")[1].split()
        return int(words[0]), int(words[8])

    def measured(self):
        """The round trip of a byte and the rate of one TCP connection, as programs see them."""
        with subprocess.Popen([*self.inside(self.server), sys.executable, "-I", __file__, "far-end"],
                              stdout=subprocess.PIPE, text=True) as far_end:
            port = far_end.stdout.readline().strip()
            near = subprocess.run([*self.inside(self.client), sys.executable, "-I", __file__, "near-end", port],
                                  capture_output=True, text=True, timeout=60)
            far_end.terminate()
        if near.returncode != 0:
            raise RuntimeError(f"nothing gets over the link: {near.stderr}")
        round_trip, down, up = map(float, near.stdout.split())
        return {"round_trip": round_trip, "down": down, "up": up}

    def end(self):
        if self.process:
            self.process.stdin.close()  # it ends when its input does, so that it never outlives us
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for name in (self.client, self.server):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def enter(namespace):
    """Moves this thread into a network namespace, by its file."""
    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def within(name):
    """Sockets made meanwhile belong to the namespace `name`."""
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{name}", "rb") as there:
        enter(there)
        try:
            yield
        finally:
            enter(home)


# The process that carries ---------------------------------------------------------------------------------------

def _tun(namespace):
    """A TUN device `far` in `namespace`. The device stays where it was made, wherever the process goes then."""
    with open(f"/run/netns/{namespace}", "rb") as there:
        enter(there)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"far", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
    return device


def _carry(client, server, rate, round_trip):
    ends = [_tun(client), _tun(server)]
    try:  # a late packet would be our fault and not the tool's
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        pass
    longest = QUEUE_ROUND_TRIPS * round_trip
    ways = [(ends[0], ends[1], collections.deque()), (ends[1], ends[0], collections.deque())]
    free = [0.0, 0.0]  # when each way's wire is free again
    poll = select.epoll()
    for end in (*ends, 0):
        poll.register(end, select.EPOLLIN)
    print("ready", flush=True)
    now = time.monotonic
    while True:
        due = min((way[2][0][0] for way in ways if way[2]), default=None)
        events = poll.poll(-1 if due is None else max(0.0, due - now()))
        if any(end == 0 for end, _ in events):
            return  # the process that started this one is gone
        for number, (source, target, waiting) in enumerate(ways):
            try:
                for _ in range(64):
                    packet = os.read(source, 65536)
                    moment = now()
                    start = max(moment, free[number])
                    if start - moment <= longest:
                        free[number] = start + len(packet) / rate
                        waiting.append((free[number] + round_trip / 2, packet))
            except BlockingIOError:
                pass
            except OSError:
                pass  # the device is not up yet
            moment = now()
            while waiting and waiting[0][0] <= moment:
                try:
                    os.write(target, waiting.popleft()[1])
                except OSError:
                    pass


# What a plain TCP connection gets -------------------------------------------------------------------------------

SECONDS = 3


def _far_end():
    with socket.create_server((SERVER, 0)) as server:
        server.settimeout(30)
        print(server.getsockname()[1], flush=True)
        for _ in range(3):
            connection, _ = server.accept()
            with connection:
                kind = connection.recv(1)
                if kind == b"e":
                    while byte := connection.recv(1):
                        connection.sendall(byte)
                elif kind == b"d":
                    try:
                        while True:
                            connection.sendall(bytes(1 << 16))
                    except OSError:
                        pass
                else:
                    started = time.monotonic()
                    taken, first = 0, 0
                    while (passed := time.monotonic() - started) < SECONDS + 1:
                        size = len(connection.recv(1 << 18))
                        taken += size
                        if passed < 1:  # until it is at full speed
                            first = taken
                    connection.sendall(b"%020d" % ((taken - first) // SECONDS))


def _near_end(port):
    def connect(kind):
        connection = socket.create_connection((SERVER, port), 30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(kind)
        return connection

    with connect(b"e") as connection:
        times = []
        for _ in range(10):
            started = time.monotonic()
            connection.sendall(b"x")
            connection.recv(1)
            times.append(time.monotonic() - started)
    with connect(b"d") as connection:
        started = time.monotonic()
        taken, first = 0, 0
        while (passed := time.monotonic() - started) < SECONDS + 1:
            taken += len(connection.recv(1 << 18))
            if passed < 1:
                first = taken
    down = (taken - first) / SECONDS
    with connect(b"u") as connection:
        connection.setblocking(False)
        data, answer = bytes(1 << 16), b""
        deadline = time.monotonic() + SECONDS + 10
        while len(answer) < 20 and time.monotonic() < deadline:
            readable, writable, _ = select.select([connection], [connection], [], 1)
            if readable:
                answer += connection.recv(20)
            elif writable:
                connection.send(data)
    print(sorted(times)[5], down, float(answer))


if __name__ == "__main__":
    if sys.argv[1] == "carry":
        _carry(sys.argv[2], sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
    elif sys.argv[1] == "far-end":
        _far_end()
    else:
        _near_end(int(sys.argv[2]))
