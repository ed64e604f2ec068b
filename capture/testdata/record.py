#!/usr/bin/env python3
"""Records hellos.pcap with tcpdump: see README.md. Needs root, ip, nft and tcpdump."""
import ctypes, os, socket, struct, subprocess, sys, threading, time

C, S = "amtrec-c", "amtrec-s"
UUID = bytes.fromhex("44454c4c580010398059b7c04f4b5a31")


def sh(cmd, check=True):
    return subprocess.run(cmd, shell=True, check=check)


def psk(retry):
    return struct.pack("<HHI", 0, 2, retry) + UUID + b"4JA2DDBV"


def pki(retry, n):
    out = struct.pack("<HHI", 1, 3, retry) + UUID + bytes([n])
    for i in range(n):
        out += bytes([2, 32]) + bytes((i * 37 + j * 11 + 5) % 256 for j in range(32))
    return out


def inside(ns, f, *a):
    """Runs f in a child process inside a namespace and waits for it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            fd = os.open("/var/run/netns/" + ns, os.O_RDONLY)
            if ctypes.CDLL(None).setns(fd, 0x40000000):
                raise OSError("setns")
            f(*a)
            code = 0
        except Exception as e:
            print(f.__name__, e, file=sys.stderr)
        os._exit(code)
    return pid


def wait(pid):
    os.waitpid(pid, 0)


def serve():
    """Takes hellos on 9971 (IPv4 and IPv6), serves noise on 80 and refuses nothing."""
    def take(port, reply):
        srv = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        def one(c):
            c.settimeout(10)
            try:
                while c.recv(4096):
                    if reply:
                        c.sendall(b"x" * 900)
            except OSError:
                pass
            c.close()
        while True:
            c, _ = srv.accept()
            threading.Thread(target=one, args=(c,), daemon=True).start()
    threading.Thread(target=take, args=(80, True), daemon=True).start()
    take(9971, False)


def names():
    """Answers every question for an A record with 10.20.0.10."""
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("10.20.0.10", 53))
    while True:
        q, who = u.recvfrom(512)
        a = q[:2] + b"\x85\x80" + q[4:6] + b"\x00\x01\x00\x00\x00\x00" + q[12:]
        u.sendto(a + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + bytes([10, 20, 0, 10]), who)


def send(data, cuts=(), to="10.20.0.10", port=9971, timeout=3.0, pause=0.03, reset=False):
    """One attempt from port 16994: data cut at cuts, then closed."""
    s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.bind(("::" if ":" in to else "0.0.0.0", 16994))
    s.settimeout(timeout)
    try:
        s.connect((to, port))
        at = 0
        for c in list(cuts) + [len(data)]:
            s.sendall(data[at:c])
            at = c
            time.sleep(pause)
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            s.shutdown(socket.SHUT_WR)
            s.recv(10)
    except OSError as e:
        print("attempt:", e, file=sys.stderr)
    s.close()
    time.sleep(1.2)


def noise(n):
    for _ in range(n):
        s = socket.create_connection(("10.20.0.10", 80))
        s.sendall(b"GET /noise HTTP/1.1\r\n\r\n")
        s.recv(4096)
        s.close()
        time.sleep(0.02)


def ask(name):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.settimeout(2)
    q = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    for label in name.split("."):
        q += bytes([len(label)]) + label.encode()
    u.sendto(q + b"\x00\x00\x01\x00\x01", ("10.20.0.10", 53))
    u.recv(512)


def back(port):
    try:
        socket.create_connection(("10.20.0.7", port), timeout=2).close()
    except OSError as e:
        print("back:", e, file=sys.stderr)


def client(f, *a, **k):
    wait(inside(C, lambda: f(*a, **k)))


def main(out):
    for n in (C, S):
        sh(f"ip netns del {n} 2>/dev/null", check=False)
        sh(f"ip netns add {n}; ip -n {n} link set lo up; ip netns exec {n} sysctl -qw net.ipv4.tcp_tw_reuse=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
    sh(f"ip link add vc netns {C} type veth peer name vs netns {S}")
    for n, d, h in ((C, "vc", 7), (S, "vs", 10)):
        sh(f"ip -n {n} addr add 10.20.0.{h}/24 dev {d}; ip -n {n} addr add fd00:20::{h:x}/64 dev {d} nodad; ip -n {n} link set {d} up")
        sh(f"ip netns exec {n} ethtool -K {d} tso off gso off gro off tx off rx off 2>/dev/null", check=False)
    nft = f"ip netns exec {S} nft "
    sh(nft + "add table inet t; " + nft + "'add chain inet t in { type filter hook input priority 0; }'")
    dump = subprocess.Popen(f"exec ip netns exec {S} tcpdump -i vs -s 0 -U -w {out}", shell=True)
    time.sleep(1)
    helpers = [inside(S, names)]
    client(ask, "provisionserver.corp.example")
    client(send, psk(0))                                     # 1 nobody listens: refused
    sh(nft + "add rule inet t in tcp dport 9971 drop")
    client(send, psk(1))                                     # 2 no answer, the SYN is repeated
    sh(nft + "flush chain inet t in; " + nft + "add rule inet t in tcp dport 9971 reject with icmp type admin-prohibited")
    client(send, psk(2))                                     # 3 ICMP 3/13
    sh(nft + "flush chain inet t in")
    helpers.append(inside(S, serve))
    time.sleep(0.5)
    client(send, psk(3))                                     # 4 one segment
    client(send, psk(4), (7, 20))                            # 5 three segments
    n = inside(C, noise, 12)
    client(send, pki(5, 12), (1, 24, 25, 60, 200, 333), pause=0.05)  # 6 seven segments among other traffic
    wait(n)
    sh(nft + "'add rule inet t in tcp dport 9971 tcp flags & psh == psh numgen inc mod 2 0 drop'")
    client(send, pki(6, 20), (100, 300, 500), timeout=10)    # 7 every other data segment is thrown away after the capture: repeated
    sh(nft + "flush chain inet t in")
    cnft = f"ip netns exec {C} nft "
    sh(cnft + "add table inet t; " + cnft + "'add chain inet t out { type filter hook output priority 0; }'")
    sh(cnft + "'add rule inet t out tcp dport 9971 tcp flags & psh == psh numgen inc mod 3 1 drop'")
    client(send, pki(7, 30), range(40, 1000, 120), timeout=10, pause=0.005)  # 8 segments lost before the capture: they come late, out of order
    sh(cnft + "flush chain inet t out")
    client(send, b"GET / HTTP/1.1\r\nHost: provisionserver\r\n\r\n", (4,))  # 9 HTTP
    client(send, bytes.fromhex("16030300310100002d0303") + bytes(43), (3,))  # 10 TLS with version bytes 3
    client(send, psk(8)[:20])                                # 11 the rest is never sent
    client(send, pki(9, 3)[:60], reset=True)                 # 12 never sent, reset
    client(send, psk(10), (16,))                             # 13 two segments
    client(send, pki(11, 8), (30,), to="fd00:20::a")          # 14 IPv6
    client(send, b"")                                        # 15 connected without data
    wait(inside(S, back, 16993))                             # refused
    time.sleep(1)
    dump.terminate()
    dump.wait()
    for p in helpers:
        os.kill(p, 9)
    for n in (C, S):
        sh(f"ip netns del {n}")


main(sys.argv[1])
