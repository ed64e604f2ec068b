#!/usr/bin/env python3
"""Records pairs of captures with tcpdump, one at the client and one at the server: see README.md.
Needs root, ip, nft, ethtool, sysctl and tcpdump."""
import ctypes, os, signal, socket, struct, subprocess, sys, time

C, R, S = "amtsite-c", "amtsite-r", "amtsite-s"
CLIENT, OTHER, SERVER = "127.77.1.7", "127.77.1.8", "127.77.2.10"
UUID = bytes.fromhex("44454c4c580010398059b7c04f4b5a31")
STRANGER = bytes.fromhex("00112233445566778899aabbccddeeff")


def sh(cmd, check=True):
    return subprocess.run(cmd, shell=True, check=check)


def psk(retry, uuid=UUID):
    return struct.pack("<HHI", 0, 2, retry) + uuid + b"0000037M"


def inside(ns, f, *a):
    """Runs f in a child process inside a namespace."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            fd = os.open("/var/run/netns/" + ns, os.O_RDONLY)
            if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")
            f(*a)
            code = 0
        except Exception as e:
            print(f.__name__, e, file=sys.stderr)
        os._exit(code)
    return pid


def serve():
    srv = socket.create_server((SERVER, 9971))
    while True:
        c, _ = srv.accept()
        c.settimeout(60)
        try:
            while c.recv(4096):
                pass
        except OSError:
            pass
        c.close()


def send(data, cuts=(), frm=CLIENT, timeout=3.5):
    """One attempt from port 16994, as firmware makes it."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.bind((frm, 16994))
    s.settimeout(timeout)
    try:
        s.connect((SERVER, 9971))
        at = 0
        for c in list(cuts) + [len(data)]:
            s.sendall(data[at:c])
            at = c
            time.sleep(0.02)
        s.shutdown(socket.SHUT_WR)
        s.recv(10)
    except OSError as e:
        print("attempt:", e, file=sys.stderr)
    s.close()


def noise():
    """Traffic that passes at both sides, so that each capture goes on after the attempt."""
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind((CLIENT, 0))
    for _ in range(3):
        u.sendto(b"noise", (SERVER, 7))
        time.sleep(0.3)


def world():
    for n in (C, R, S):
        sh(f"ip netns del {n} 2>/dev/null", check=False)
        sh(f"ip netns add {n}")
    sh(f"ip link add c0 netns {C} type veth peer name r1 netns {R}")
    sh(f"ip link add s0 netns {S} type veth peer name r2 netns {R}")
    for n in (C, R, S):
        sh(f"ip netns exec {n} sysctl -qw net.ipv4.conf.all.route_localnet=1 net.ipv4.conf.default.route_localnet=1 net.ipv6.conf.all.disable_ipv6=1 net.ipv4.tcp_tw_reuse=1")
    sh(f"ip netns exec {R} sysctl -qw net.ipv4.ip_forward=1")
    for n, d, a in ((C, "c0", CLIENT), (C, "c0", OTHER), (R, "r1", "127.77.1.1"), (R, "r2", "127.77.2.1"), (S, "s0", SERVER)):
        sh(f"ip -n {n} addr add {a}/24 dev {d}; ip -n {n} link set {d} up")
        sh(f"ip netns exec {n} sysctl -qw net.ipv4.conf.{d}.route_localnet=1")
        sh(f"ip netns exec {n} ethtool -K {d} tso off gso off gro off tx off rx off 2>/dev/null", check=False)
    sh(f"ip -n {C} route add default via 127.77.1.1; ip -n {S} route add default via 127.77.2.1")


def record(name, rules, attempts, listen=True):
    """rules: (namespace, hook, nft rule)."""
    world()
    for n, hook, rule in rules:
        sh(f"ip netns exec {n} nft add table inet t")
        sh(f"ip netns exec {n} nft 'add chain inet t x {{ type filter hook {hook} priority 0; }}'")
        sh(f"ip netns exec {n} nft add rule inet t x {rule}")
    helper = inside(S, serve) if listen else 0
    dumps = [subprocess.Popen(f"exec ip netns exec {n} tcpdump -q --immediate-mode -i {d} -s 0 -U -w {name}-{side}.pcap 2>/dev/null", shell=True)
             for n, d, side in ((C, "c0", "client"), (S, "s0", "server"))]
    time.sleep(2)
    for f, *a in attempts:
        os.waitpid(inside(C, f, *a), 0)
    os.waitpid(inside(C, noise), 0)
    time.sleep(1.2)
    for d in dumps:
        d.terminate()
        d.wait()
    if helper:
        os.kill(helper, signal.SIGKILL)
        os.waitpid(helper, 0)
    for n in (C, R, S):
        sh(f"ip netns del {n}")


def main():
    stranger = (send, psk(3, STRANGER), (), OTHER)
    record("delivered", [], [(send, psk(0)), (send, psk(1), (7, 20))])
    record("blocked", [(R, "forward", f"ip saddr {CLIENT} tcp dport 9971 drop")], [stranger, (send, psk(0)), stranger])
    record("rejected", [(R, "forward", "tcp dport 9971 reject with icmp type admin-prohibited")], [(send, psk(0))])
    record("refused", [], [(send, psk(0))], False)
    record("silent", [(S, "input", "tcp dport 9971 drop")], [(send, psk(0))])
    record("swallowed", [(R, "forward", "'tcp dport 9971 tcp flags & (psh | fin) != 0x0 drop'")], [(send, psk(0))])


main()
