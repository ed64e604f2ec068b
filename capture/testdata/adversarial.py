#!/usr/bin/env python3
"""Writes adversarial.jsonl.gz: capture files made byte by byte, without the program's own frame builder,
each with the hellos and partials that it must give.

    python3 adversarial.py > adversarial.jsonl.gz      (same bytes every time)

A line: name, want (kind, type and packet in the order of the packets; partial without a packet),
tshark (whether its count of segments to the port can be compared), port, file (hex).
"""
import gzip, json, random, struct, sys, uuid

R = random.Random(11)
OUT = gzip.GzipFile("", "wb", 9, sys.stdout.buffer, mtime=0)
U = uuid.UUID("4c4c4544-0058-3910-8059-b7c04f4b5a31").bytes_le
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def head(version, retry=0, admin=0):
    return struct.pack("<HHI", admin, version, retry) + U


def psk(retry=0):
    return head(2, retry) + b"4JA2DDBV"


def pki(*sizes):
    b = head(3) + bytes([len(sizes)])
    for i, n in enumerate(sizes):
        alg = {20: 0, 32: 1, 48: 2}[n]
        b += bytes([alg, n]) + bytes((i * 7 + k * 13 + 128) & 255 for k in range(n))
    return b


H, H1 = psk(), psk(1)
P81 = pki(20, 32)
BIG = pki(*[20] * 99)
MID = pki(*[20] * 33)
assert len(H) == 32 and len(P81) == 81 and len(BIG) == 2203 and len(MID) == 751


def csum(b):
    if len(b) % 2:
        b += b"\0"
    s = sum(struct.unpack(">%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


class W:
    """One file: addresses, sequence numbers, clock, and what stands below TCP."""

    def __init__(self, isn=1000, v6=False, cport=16994, sport=9971):
        self.isn, self.sisn, self.t, self.ipid = isn, 70000, 1700000000.0, 1
        self.v6, self.cp, self.sp = v6, cport, sport
        self.ca, self.sa = ((bytes.fromhex("20010db8") + bytes(11) + b"\x07", bytes.fromhex("20010db8") + bytes(11) + b"\x10")
                            if v6 else (bytes([10, 20, 0, 7]), bytes([10, 1, 0, 10])))
        self.pk = []          # time, frame, interface
        self.opt = b""        # IPv4 options
        self.ext = []         # IPv6 extension headers: kind, body without the two leading bytes
        self.tcpopt = b""
        self.tags = []        # (tpid, tci)
        self.link = "eth"
        self.iface = 0
        self.ttl = 64
        self.pad = b""
        self.frag = None      # function of the list of fragments
        self.fragsize = 8
        self.tso = False
        self.step = 0.01

    def wait(self, s):
        self.t += s
        return self

    def tcp(self, up, flags, seq, ack, data=b"", win=65535, urg=0):
        sp, dp = (self.cp, self.sp) if up else (self.sp, self.cp)
        src, dst = (self.ca, self.sa) if up else (self.sa, self.ca)
        opt = self.tcpopt
        seg = struct.pack(">HHIIBBHHH", sp, dp, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (5 + len(opt) // 4) << 4, flags, win, 0, urg) + opt + data
        pseudo = src + dst + (struct.pack(">IHBB", len(seg), 0, 0, 6) if self.v6 else struct.pack(">BBH", 0, 6, len(seg)))
        seg = seg[:16] + struct.pack(">H", csum(pseudo + seg)) + seg[18:]
        return self.ip(src, dst, 6, seg, up)

    def ip(self, src, dst, proto, seg, up=True):
        self.ipid = (self.ipid + 1) & 0xFFFF
        if self.v6:
            return self.ip6(src, dst, proto, seg, up)
        parts = [(0, 0, seg)]
        if self.frag and len(seg) > 20 + len(self.tcpopt):
            n = self.fragsize
            parts = self.frag([(o, 0x2000 if o + n < len(seg) else 0, seg[o:o + n]) for o in range(0, len(seg), n)])
        for off, more, b in parts:
            size = 20 + len(self.opt) + len(b)
            h = struct.pack(">BBHHHBBH", 0x40 | (5 + len(self.opt) // 4), 0, 0 if self.tso else size, self.ipid, more | off // 8, self.ttl, proto, 0) + src + dst + self.opt
            h = h[:10] + struct.pack(">H", csum(h)) + h[12:]
            self.frame(0x0800, h + b, up)
        return self

    def ip6(self, src, dst, proto, seg, up):
        parts = [(None, 0, seg)]
        if self.frag and len(seg) > 20:
            n = self.fragsize
            parts = self.frag([(o, 1 if o + n < len(seg) else 0, seg[o:o + n]) for o in range(0, len(seg), n)])
        for off, more, b in parts:
            chain = list(self.ext)
            if off is not None:
                chain.append((44, struct.pack(">HI", off | more, self.ipid)))
            body, nxt = b, proto
            for kind, x in reversed(chain):
                n = (len(x) + 2) // 4 - 2 if kind == 51 else (len(x) + 2) // 8 - 1
                if kind == 44:
                    n = 0
                body, nxt = bytes([nxt, n]) + x + body, kind
            self.frame(0x86DD, struct.pack(">IHBB", 6 << 28, len(body), nxt, self.ttl) + src + dst + body, up)
        return self

    def frame(self, typ, b, up):
        if self.link == "eth":
            m = [bytes([2, 0, 0, 0, 0, 7]), bytes([2, 0, 0, 0, 0, 16])]
            h = (m[1] + m[0]) if up else (m[0] + m[1])
            for tpid, tci in self.tags:
                h += struct.pack(">HH", tpid, tci)
            f = h + struct.pack(">H", typ) + b
            f += self.pad if self.pad else bytes(max(0, 60 - len(f)))
        elif self.link == "sll":
            f = struct.pack(">HHH8sH", 0 if up else 4, 1, 6, bytes(8), typ) + b
        elif self.link == "sll2":
            f = struct.pack(">HHIHBB8s", typ, 0, 2 + self.iface, 1, 0 if up else 4, 6, bytes(8)) + b
        elif self.link == "null":
            f = struct.pack("<I", 30 if self.v6 else 2) + b
        elif self.link == "loop":
            f = struct.pack(">I", 24 if self.v6 else 2) + b
        else:
            f = b
        self.t += self.step
        self.pk.append((self.t, f, self.iface))
        return self

    def c(self, off, data=b"", flags=ACK):
        return self.tcp(True, flags, self.isn + 1 + off, self.sisn + 1, data)

    def s(self, acked, flags=ACK, data=b"", win=65535):
        return self.tcp(False, flags, self.sisn + 1, self.isn + 1 + acked, data, win)

    def syn(self, data=b""):
        return self.tcp(True, SYN, self.isn, 0, data)

    def synack(self, acked=0):
        return self.tcp(False, SYN | ACK, self.sisn, self.isn + 1 + acked)

    def up(self):
        return self.syn().synack().c(0)

    def again(self, isn):
        self.isn, self.sisn = isn, self.sisn + 77777
        return self

    def refuse(self):
        return self.tcp(False, RST | ACK, 0, self.isn + 1)

    def udp(self, data):
        seg = struct.pack(">HHHH", self.cp, self.sp, 8 + len(data), 0) + data
        return self.ip(self.ca, self.sa, 17, seg)

    def doubled(self, after=0.00004, change=lambda f: f):
        self.pk = [q for t, f, i in self.pk for q in ((t, f, i), (t + after, change(f), i))]
        return self


LINKS = {"eth": 1, "raw": 101, "sll": 113, "sll2": 276, "null": 0, "loop": 108, "ip4": 228, "ip6": 229}


def pcap(w, snap=262144, order="<", nano=False, link=None):
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snap, LINKS[link or w.link])
    for t, f, _ in w.pk:
        sec = int(t)
        frac = int((t - sec) * 1e6) * (1000 if nano else 1)
        out += struct.pack(order + "IIII", sec, frac, min(snap, len(f)), len(f)) + f[:snap]
    return out


def block(order, typ, body):
    body += bytes(-len(body) % 4)
    n = len(body) + 12
    return struct.pack(order + "II", typ, n) + body + struct.pack(order + "I", n)


def option(order, code, val):
    return struct.pack(order + "HH", code, len(val)) + val + bytes(-len(val) % 4)


def pcapng(w, ifaces, order="<", simple=False, nrb=False):
    """ifaces: (link, tsresol byte or None, tsoffset)."""
    out = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    for link, res, off in ifaces:
        o = b""
        if res is not None:
            o += option(order, 9, bytes([res]))
        if off:
            o += option(order, 14, struct.pack(order + "q", off))
        out += block(order, 1, struct.pack(order + "HHI", LINKS[link], 0, 0) + o + (option(order, 0, b"") if o else b""))
    for k, (t, f, i) in enumerate(w.pk):
        if nrb and k % 2:
            out += block(order, 4, struct.pack(order + "HH", 0, 0)) + block(order, 0x0BAD, struct.pack(order + "I", 32473) + b"\1\2\3")
        if simple:
            out += block(order, 3, struct.pack(order + "I", len(f)) + f)
            continue
        _, res, off = ifaces[i]
        res = 6 if res is None else res
        unit = 2 ** (res & 127) if res & 128 else 10 ** res
        ts = (int(t) - off) * unit + int((t - int(t)) * unit)
        out += block(order, 6, struct.pack(order + "IIIII", i, ts >> 32, ts & 0xFFFFFFFF, len(f), len(f)) + f)
    return out


def case(name, want, w, data=None, tshark=True, port=9971):
    if data is None:
        data = pcap(w)
    line = json.dumps({"name": name, "want": want, "tshark": tshark, "port": port, "file": data.hex()})
    OUT.write(line.encode() + b"\n")


def split(b, *at):
    at = [0, *at, len(b)]
    return [(i, b[i:j]) for i, j in zip(at, at[1:])]


def send(w, parts):
    for o, b in parts:
        w.c(o, b)
    return w


bytewise = lambda b: [(i, b[i:i + 1]) for i in range(len(b))]


def shuffled(l):
    l = list(l)
    R.shuffle(l)
    return l


# --- order, overlap, repeats
w = W().up(); send(w, [(0, MID[:400]), (300, MID[300:600]), (550, MID[550:]), (100, MID[100:700])]); w.c(751, flags=FIN | ACK)
case("overlap", "hello pki@6", w)
w = W().up(); send(w, [(250, MID[250:500]), (500, MID[500:]), (0, MID[:250])]); w.c(751, flags=FIN | ACK)
case("first segment last", "hello pki@6", w)
w = W(); send(w, [(250, MID[250:500]), (500, MID[500:]), (0, MID[:250])])
case("first segment last, no SYN", "hello pki@3", w)
w = W(); w.c(0, H).c(32, flags=FIN | ACK).syn().synack()
case("SYN and SYN/ACK behind data and FIN", "hello psk@1", w)
w = W(); w.c(16, H[16:]).s(32).syn().wait(2).c(0, H[:16])
case("SYN between, first half last", "hello psk@4", w)
w = W(); w.c(32, flags=FIN | ACK).c(0, H, PSH | ACK).syn().synack()
case("FIN first, SYN last", "hello psk@2", w)
w = W(); w.tcp(True, RST, w.isn + 33, 0).syn().synack().c(0, H)
case("RST first", "hello psk@4", w)
w = W().up().c(0, H, FIN | PSH | ACK).s(33, FIN | ACK).wait(0.2).c(0, H, FIN | PSH | ACK).wait(4).c(0, H).wait(20).c(0, H, FIN | ACK).wait(40).c(0, H, FIN | ACK)
case("repeats behind FIN, up to a minute", "hello psk@4", w)
w = W().up().c(0, H, FIN | ACK).s(33, FIN | ACK).wait(40).c(16, H[16:], FIN | ACK).wait(40).c(31, H[31:], FIN | ACK)
case("pieces repeated behind FIN", "hello psk@4", w)
for syn in (True, False):
    tail = "" if syn else ", no SYN"
    for name, parts in (("forwards", bytewise(P81)), ("backwards", bytewise(P81)[::-1]), ("shuffled", shuffled(bytewise(P81)))):
        w = W()
        if syn:
            w.up()
        send(w, parts).c(81, flags=FIN | ACK)
        n = 81 + (3 if syn else 0)
        case("byte by byte " + name + tail, "hello pki@%d" % n, w)
        case("byte by byte " + name + tail + ", doubled", "hello pki@%d" % (2 * n - 1), w.doubled())
w = W().up(); send(w, shuffled(bytewise(BIG)))
case("2203 bytes shuffled", "hello pki@2206", w)
w = W().up(); send(w, [(i, BIG[i:i + 1]) for i in range(0, 2203, 2)] + [(i, BIG[i:i + 1]) for i in range(1, 2203, 2)])
case("2203 bytes, every other first", "hello pki@2206", w)

# --- keep-alives and probes
for zero in (b"\0", b""):
    word = "one byte" if zero else "empty"
    w = W().up().c(-1, zero).wait(60).c(-1, zero).c(0, H[:20]).wait(50).c(19, zero).c(20, H[20:]).wait(50).c(31, zero).wait(50).c(31, zero)
    case("keep-alives, " + word, "hello psk@8", w)
    w = W().c(-1, zero).wait(60).c(-1, zero).c(0, H[:20]).wait(50).c(19, zero).c(20, H[20:]).wait(50).c(31, zero)
    case("keep-alives, no SYN, " + word, "hello psk@5", w)
    w = W().c(-1, zero).c(0, H).wait(50).c(31, zero).wait(60).c(31, zero).wait(100).c(31, zero)
    case("keep-alive, then all at once, no SYN, " + word, "hello psk@2", w)
    w = W().c(-1, zero).c(20, P81[20:]).c(0, P81[:20]).c(81, flags=FIN | ACK).wait(20).syn()
    case("keep-alive, halves swapped, no SYN, " + word, "hello pki@3", w)
    w = W().c(-1, zero).c(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").c(27, flags=FIN | ACK)
    case("keep-alive, then HTTP, no SYN, " + word, "hello unknown@2", w)
w = W().up().c(0, H[:16]).s(16, win=0).wait(1).c(16, H[16:17]).s(16, win=0).wait(2).c(16, H[16:17]).s(16, win=0).wait(4).c(16, H[16:17]).s(17).c(17, H[17:])
case("zero window probes of one byte", "hello psk@12", w)
w = W().up().s(0, win=0).wait(1).c(0, H[:1]).wait(2).c(0, H[:1]).s(0).c(0, H)
case("zero window from the beginning", "hello psk@8", w)
w = W().s(0, win=0).wait(1).c(0, H[:1]).wait(2).c(0, H[:1]).s(1).c(1, H[1:])
case("zero window from the beginning, no SYN", "hello psk@5", w)

# --- data in the SYN
w = W().syn(H).synack(32).c(32).c(32, flags=FIN | ACK)
case("fast open, all in the SYN", "hello psk@1", w)
w = W().syn(P81[:20]).synack(20).c(20).c(20, P81[20:]).s(81).c(81, flags=FIN | ACK)
case("fast open, first part in the SYN", "hello pki@4", w)
w = W().syn(P81[:20]).synack(0).c(0, P81).c(81, flags=FIN | ACK)
case("fast open refused", "hello pki@3", w)
w = W().syn(H).wait(1).syn().synack().c(0, H)
case("fast open, repeated without data", "hello psk@1", w)
w = W().tcp(True, SYN | FIN, 1000, 0, H)
case("SYN, data and FIN in one", "hello psk@1", w)

# --- sequence numbers
for isn in (0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFF0, 0xFFFFFE00, 0x7FFFFFFF, 0x7FFFFFF0, 0):
    w = W(isn).up(); send(w, split(MID, 100, 511)[::-1]).c(751, flags=FIN | ACK)
    case("ISN %08x backwards" % isn, "hello pki@6", w)
    w = W(isn); send(w, split(MID, 100, 511)[::-1]).c(751, flags=FIN | ACK)
    case("ISN %08x backwards, no SYN" % isn, "hello pki@3", w)

# --- below TCP
RA = bytes([0x94, 4, 0, 0])
for name, opt in (("router alert", RA), ("40 bytes", RA + bytes([7, 35, 4]) + bytes(33)), ("security", bytes([0x82, 11]) + bytes(9) + b"\0")):
    w = W(); w.opt = opt; w.up(); send(w, split(MID, 300)).c(751, flags=FIN | ACK)
    case("IPv4 options, " + name, "hello pki@5", w)
w = W(); w.tcpopt = b"\1\1\x08\x0a" + bytes(8); w.up().c(0, H)
case("TCP time stamps", "hello psk@4", w)
w = W(); w.tcpopt = bytes([1] * 40); w.up().c(0, H)
case("TCP options of 40 bytes", "hello psk@4", w)
w = W(); w.tcpopt = bytes([5, 0, 8, 200]); w.up().c(0, H)
case("TCP options without sense", "hello psk@4", w)
HBH, DST, RT = (0, bytes([5, 2, 0, 0, 1, 0])), (60, bytes([1, 12]) + bytes(12)), (43, bytes(6))
AH = (51, bytes(2) + struct.pack(">II", 1, 1) + bytes(12))
for name, ext in (("hop-by-hop and destination options", [HBH, DST]), ("routing header", [RT]), ("authentication header", [AH]),
                  ("all of them", [HBH, DST, RT, (44, struct.pack(">HI", 0, 9)), AH, DST])):
    w = W(v6=True); w.ext = ext; w.up(); send(w, split(MID, 300)).c(751, flags=FIN | ACK)
    case("IPv6 " + name, "hello pki@5", w)
rev = lambda l: l[::-1]
w = W(); w.frag = rev; w.up().c(0, H)
case("IPv4 fragments of 8 bytes, backwards", "hello psk@10", w)
w = W(); w.frag = lambda l: [q for p in l for q in (p, p)]; w.up().c(0, H)
case("IPv4 fragments doubled", "hello psk@16", w, tshark=False)
w = W(); w.frag, w.fragsize = rev, 256; w.up(); send(w, split(BIG, 1400)).c(2203, flags=FIN | ACK)
case("IPv4 fragments of two segments, backwards", "hello pki@13", w)


def overlapping(l):
    whole = b"".join(b for _, _, b in l)
    return [(0, 0x2000, whole[:32]), (40, 0, whole[40:]), (16, 0x2000, whole[16:48])]


w = W(); w.frag = overlapping; w.up().c(0, H)
case("IPv4 fragments overlap", "hello psk@6", w, tshark=False)
w = W(); w.frag, w.ipid = rev, 7
w.up()
for k in range(3):
    w.ipid = 7
    w.c(0, H)
case("IPv4 fragments, one identification for all", "hello psk@10", w, tshark=False)
w = W(); w.frag, w.fragsize = rev, 16; w.up(); w.c(0, P81[:40]); a = w.pk[3:]; del w.pk[3:]; w.c(40, P81[40:]); b = w.pk[3:]; del w.pk[3:]
for k in range(max(len(a), len(b))):
    for l in (a, b):
        if k < len(l):
            w.t += 0.01
            w.pk.append((w.t,) + l[k][1:])
case("IPv4 fragments of two segments, interleaved", "hello pki@11", w)
w = W(v6=True); w.frag, w.fragsize, w.ext = rev, 16, [HBH]; w.up().c(0, H)
case("IPv6 fragments behind hop-by-hop, backwards", "hello psk@7", w)
w = W(); w.frag = lambda l: l[:-1]; w.up().c(0, H).c(32, flags=FIN | ACK)
case("last IPv4 fragment lost", "partial", w, tshark=False)
for name, tags in (("8100", [(0x8100, 100)]), ("priority", [(0x8100, 0xE000)]), ("88a8 8100", [(0x88A8, 200), (0x8100, 100)]), ("88a8", [(0x88A8, 9)]),
                   ("8100 8100", [(0x8100, 1), (0x8100, 2)]), ("9100 8100", [(0x9100, 1), (0x8100, 2)]), ("three", [(0x8100, 7), (0x88A8, 200), (0x8100, 100)])):
    for v6 in (False, True):
        w = W(v6=v6); w.tags = tags; w.up().c(0, H, FIN | ACK)
        case("VLAN %s, IPv%d" % (name, 6 if v6 else 4), "hello psk@4", w)
w = W(); w.pad = b"\xde\xad\xbe\xef\0\0"; w.up(); send(w, split(MID, 10, 300)).c(751, flags=FIN | ACK)
case("Ethernet padding that is not zero", "hello pki@6", w)
w = W(v6=True); w.pad = b"\1\0\2\0"; w.up(); send(w, split(P81, 10, 30)).c(81, flags=FIN | ACK)
case("Ethernet padding that is not zero, IPv6", "hello pki@6", w)
w = W(); w.tso, w.pad = True, b" "; w.up(); w.pk = [(t, f[:-1], i) for t, f, i in w.pk]; w.c(0, BIG); w.pk[-1] = (w.t, w.pk[-1][1][:-1], 0)
case("total length 0 of segmentation offload", "hello pki@4", w)

# --- link types and file forms
for link in ("raw", "sll", "sll2", "null", "loop"):
    for v6 in (False, True):
        w = W(v6=v6); w.link = link; w.up(); send(w, split(P81, 50)).c(81, flags=FIN | ACK)
        case("%s, IPv%d" % (link, 6 if v6 else 4), "hello pki@5", w, pcap(w, order=">" if link != "null" else "<"))
        if link == "raw":
            case("link type of IPv%d" % (6 if v6 else 4), "hello pki@5", w, pcap(w, nano=True, link="ip6" if v6 else "ip4"))
w = W(); w.link = "sll2"; w.syn(); w.iface = 1; w.synack(); w.iface = 0; w.c(0, H[:9]); w.iface = 1; w.c(0, H[:9]).c(9, H[9:]); w.iface = 0; w.c(9, H[9:])
case("sll2, two interfaces see both", "hello psk@5", w)
w = W(); w.up(); w.link, w.iface = "raw", 1; w.c(20, P81[20:]); w.link, w.iface = "eth", 0; w.c(0, P81[:20]).c(81, flags=FIN | ACK)
for order in "<>":
    for nrb in (False, True):
        case("pcapng %s, two link types and resolutions, other blocks %s" % ("little" if order == "<" else "big", nrb), "hello pki@5", w,
             pcapng(w, [("eth", 9, 0), ("raw", None, 1000)], order, nrb=nrb), tshark=not nrb)
case("pcapng, binary resolution and offset", "hello pki@5", w, pcapng(w, [("eth", 0x80 | 20, -77), ("raw", 3, 0)]))
w = W().up().c(0, H[:7]).c(7, H[7:])
case("pcapng, simple packet blocks", "hello psk@5", w, pcapng(w, [("eth", None, 0)], simple=True))
w = W(); w.t, w.step = 0.0, 0.0; w.up().c(0, H[:7]).c(7, H[7:]).c(32, flags=FIN | ACK).again(99000).up().c(0, H1)
case("every time is 0", "hello psk@5 hello psk@10", w)
w = W(); w.step = -3.0; w.up().c(0, H[:7]).c(7, H[7:]).c(32, flags=FIN | ACK).again(99000).up().c(0, H1)
case("time runs backwards", "hello psk@5 hello psk@10", w)

# --- many attempts on one flow
for name in ("refused", "reset after data", "reset by the client", "no end", "closed"):
    for isns in ([1000 + 64000 * k for k in range(15)], [0xFFFF0000 - 64000 * k for k in range(15)], [R.getrandbits(32) for _ in range(15)]):
        w, want = W(), []
        for k, isn in enumerate(isns):
            w.again(isn)
            if name == "refused":
                w.syn().refuse().wait(0.5).syn().refuse().wait(2)
                continue
            w.up(); send(w, split(psk(k), 20))
            want.append("hello psk@%d" % len(w.pk))
            if name == "reset after data":
                w.s(32, RST | ACK)
            elif name == "reset by the client":
                w.tcp(True, RST, isn + 33, 0)
            elif name == "closed":
                w.c(32, flags=FIN | ACK).s(33, FIN | ACK).c(33)
            w.wait(1)
        case("15 attempts, %s, first %08x" % (name, isns[-1]), " ".join(want), w)
w, want = W(), []
for k in range(15):
    w.again(5000 + 50000 * k).c(0, psk(k)).wait(3)
    want.append("hello psk@%d" % len(w.pk))
case("15 attempts, data only, upwards", " ".join(want), w)
w, want = W(), []
for k in range(15):
    w.again(5000000 - 50000 * k).c(0, psk(k)).wait(3)
    want.append("hello psk@%d" % len(w.pk))
case("15 attempts, data only, downwards", " ".join(want), w)
w = W().up().c(0, H[:20]).again(65000).c(0, H1).c(32, flags=FIN | ACK)
case("unfinished, the next without SYN", "partial hello psk@5", w)
w = W().up().c(0, H[:20]).wait(9).again(65000).up().c(0, H1[:20]).wait(9).again(1 << 31).up().c(0, H1)
case("two unfinished, then one", "partial partial hello psk@12", w)
up, down = W(), W()
want = []
for k in range(40):
    for x in (up, down):
        x.again(77 + 1000003 * k)
    down.t = up.t
    up.syn(); down.synack(); up.c(0, psk(k), FIN | ACK); down.s(33, FIN | ACK)
    want.append("hello psk@%d" % len(up.pk))
    up.wait(3600); down.wait(3600)
ups = W(); ups.pk = up.pk + down.pk
case("40 hours, both directions one behind the other", " ".join(want[-40:]), ups)
ups = W(); ups.pk = down.pk + up.pk
case("40 hours, server's direction first", " ".join("hello psk@%d" % (80 + 2 * k + 2) for k in range(40)), ups)

# --- mirror ports
ttl = lambda f: f[:22] + bytes([f[22] - 1]) + struct.pack(">H", (struct.unpack(">H", f[24:26])[0] + 0x100) % 0xFFFF).join([f[23:24], f[26:]])
tag = lambda f: f[:12] + b"\x81\0\0\x2a" + f[12:]
for name, after, change in (("TTL", 0.00003, ttl), ("VLAN", 0.00003, tag), ("TTL and VLAN, 2 ms", 0.002, lambda f: tag(ttl(f)))):
    w = W().up(); send(w, split(P81, 30, 60)).c(81, flags=FIN | ACK).s(82, FIN | ACK).c(82)
    case("mirror doubles, other " + name, "hello pki@11", w.doubled(after, change))
w = W().up(); send(w, split(P81, 30, 60)).c(81, flags=FIN | ACK); w.pk += [(t + 0.5, tag(f), i) for t, f, i in w.pk]
case("mirror copy of all half a second later", "hello pki@6", w)
w = W().up(); send(w, split(P81, 30, 60)); w.pk += [(t, f, i) for t, f, i in w.pk[::-1]]
case("mirror copy backwards", "hello pki@6", w)
w = W().up(); send(w, [(0, H[:16])]); w.doubled()
case("mirror doubles of an unfinished one", "partial", w)

# --- joined files
a = W().up().c(0, H, FIN | ACK); b = W(); b.t += 3600; b.again(5).up().c(0, H1, FIN | ACK)
case("two pcapng files joined", "hello psk@4 hello psk@8", a, pcapng(a, [("eth", 9, 0)]) + pcapng(b, [("eth", None, 0)], ">"))
case("two pcapng files joined, the later first", "hello psk@4 hello psk@8", a, pcapng(b, [("eth", 9, 0)]) + pcapng(a, [("eth", None, 0)], ">"))
case("the same pcapng file twice", "hello psk@4", a, pcapng(a, [("eth", 9, 0)]) * 2)
case("two pcap files joined", "hello psk@4 hello psk@8", a, pcap(a) + pcap(b), tshark=False)
b.link = "eth"
r = W(); r.link = "raw"; r.t += 7200; r.again(9).up().c(0, H1)
case("two pcap files joined, other order, link and resolution", "hello psk@4 hello psk@8", a, pcap(a) + pcap(r, order=">", nano=True), tshark=False)

# --- cut packets
w = W().up(); send(w, split(BIG, 800, 1600)).c(2203, flags=FIN | ACK).s(2204)
case("2203 bytes in three segments", "hello pki@6", w)
case("2203 bytes in three segments, snaplen 96", "partial", w, pcap(w, 96))
case("2203 bytes in three segments, snaplen 96, doubled", "partial", w.doubled(), pcap(w, 96))
w = W().up().c(0, H).c(32, flags=FIN | ACK)
case("psk, snaplen 86", "hello psk@4", w, pcap(w, 86))
case("psk, snaplen 85", "partial", w, pcap(w, 85))
case("psk, snaplen 54", "partial", w, pcap(w, 54))
case("psk, snaplen 40", "", w, pcap(w, 40), tshark=False)
w = W(); w.tcpopt = b"\1\1\x08\x0a" + bytes(8); w.up().s(0).c(0).c(0, flags=FIN | ACK).s(1).c(1)
case("nothing said, options cut by the snaplen", "", w, pcap(w, 60))
w = W(); w.up().c(0, P81[:40]); w.pk[-1] = (w.t, w.pk[-1][1], 0); cutoff = len(w.pk); w.c(40, P81[40:]).wait(1).c(40, P81[40:])
data = pcap(w); p5 = 24 + sum(16 + len(f) for _, f, _ in w.pk[:4]); n5 = len(w.pk[4][1])
data = data[:p5 + 8] + struct.pack("<II", n5 - 30, n5) + data[p5 + 16:p5 + 16 + n5 - 30] + data[p5 + 16 + n5:]
case("one packet cut, its repeat is whole", "hello pki@6", w, data)
w2 = W(); w2.up().c(0, head(9) + b"abc").c(27, flags=FIN | ACK); data = pcap(w2); p4 = 24 + sum(16 + len(f) for _, f, _ in w2.pk[:3]); n4 = len(w2.pk[3][1])
data = data[:p4 + 8] + struct.pack("<II", n4 - 9, n4) + data[p4 + 16:p4 + 16 + n4 - 9] + data[p4 + 16:p4 + 16 + n4].join([struct.pack("<IIII", 1700000000, 900000, n4, n4), data[p4 + 16 + n4:]])
case("unknown version, one packet cut, its repeat is whole", "hello unknown@5", w2, data)

# --- bytes that are missing
w = W().up().c(0, H[:16]).c(16, flags=FIN | ACK)
case("client never sent the rest", "partial", w)
w = W().up().s(32).c(32, flags=FIN | ACK)
case("data not captured", "partial", w)
w = W().up().s(32).s(32, FIN | ACK)
case("data not captured, the server confirms them", "partial", w)
w = W().up().c(32).tcp(True, RST, 1033, 0)
case("data not captured, the client counts on", "partial", w)
w = W().up().c(32, flags=FIN | ACK).wait(3).c(0, H[:10]).wait(6).c(10, H[10:])
case("FIN, then the data by retransmission", "hello psk@6", w)
w = W().up().c(0, H[:10]).wait(100).c(10, H[10:])
case("100 s between the halves", "hello psk@5", w)
w = W().up().c(0, P81[:25]).c(26, P81[26:]).c(81, flags=FIN | ACK)
case("one byte in the middle is missing", "partial", w)
w = W().up().c(1, P81[1:]).c(81, flags=FIN | ACK)
case("the first byte is missing", "partial", w)
w = W().up().c(0).wait(10).c(0, flags=FIN | ACK).s(1, FIN | ACK).c(1)
case("nothing said", "", w)
w = W().c(500).s(500).wait(1).c(500, flags=FIN | ACK).s(501, FIN | ACK).c(501)
case("end of a connection from before the capture", "", w)

# --- what is no hello, or a foreign one
w = W().up().c(0, H + b"rest", FIN | ACK)
case("trailing bytes", "hello psk@4", w)
w = W().up().c(0, H).c(32, b"more").c(36, H1).c(68, flags=FIN | ACK)
case("trailing segments", "hello psk@4", w)
w = W().up().c(0, H[:20]).c(20, H[20:] + H1).c(64, flags=FIN | ACK)
case("a second message behind the first", "hello psk@5", w)
w = W().c(0, H + H1).c(64, flags=FIN | ACK)
case("a second message behind the first, no SYN", "hello psk@1", w)
for name, b in (("HTTP", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), ("TLS 1.0", b"\x16\x03\x01\0\x3c\x01\0\0\x38\x03\x03" + bytes(54)), ("TLS 1.2, short", b"\x16\x03\x03\0\x3c\x01\0\0\x38\x03\x03" + bytes(54)),
                ("SSH", b"SSH-2.0-x\r\n"), ("SMB", b"\0\0\x02\0\xffSMBr" + bytes(40)), ("text", b"hello\n"), ("PROXY", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n")):
    w = W().up().c(0, b).c(len(b), flags=FIN | ACK)
    case("foreign: " + name, "hello unknown@4", w)
    case("foreign: " + name + ", doubled", "hello unknown@7", w.doubled())
    w = W().up(); send(w, bytewise(b)).c(len(b), flags=FIN | ACK)
    case("foreign: " + name + ", byte by byte", "hello unknown", w)
w = W().up().c(0, head(4) + b"xyz").c(27, flags=FIN | ACK)
case("unknown version", "hello unknown@4", w)
w = W().up().c(0, head(4)).c(24, b"xyz").wait(200).udp(b"x")
case("unknown version, no end", "hello unknown@5", w)
w = W().up().tcp(False, ACK | PSH, 70001, 1001, H).s(0, FIN | ACK, H)
case("bytes of the server", "", w)
w = W().udp(H).udp(H)
case("UDP", "", w)
w = W(sport=9970).up().c(0, H)
case("other port", "", w)
w = W(sport=9972).up().c(0, H, FIN | ACK)
case("port 9972 named", "hello psk@4", w, port=9972)
case("port 9972 not named", "", w)
for cport in (1024, 16994, 16992, 53, 40000, 65535, 9970):
    w = W(cport=cport).up(); send(w, split(P81, 40)).c(81, flags=FIN | ACK)
    case("source port %d" % cport, "hello pki@5", w)
w = W(cport=9971).up().s(0, data=H1).c(0, H).s(32, data=H1)
case("source port 9971", "hello psk@5", w, tshark=False)
w = W(cport=9971, sport=16994).up().c(0, H).s(32, data=H)
case("connection back from port 9971", "", w, tshark=False)
w = W().up().c(0, H).tcp(True, RST | ACK, 1033, 0, b"No route").c(0, H)
case("reset with words", "hello psk@4", w)
w = W().up().tcp(True, RST | ACK, 1001, 0, b"Go away").s(0)
case("reset with words, nothing said", "", w)
case("reset with words, cut by the snaplen", "", w, pcap(w, 58))
w = W().up().tcp(True, ACK | PSH | 32, 1001, 70001, H, urg=5)
case("urgent data", "hello psk@4", w)
w = W().tcp(True, SYN | 0xC0, 1000, 0).synack().tcp(True, ACK | PSH | 0x80, 1001, 70001, H)
case("ECN", "hello psk@3", w)
w = W().up()
quoted = W().c(0, H).pk[0][1][14:]
w.ip(w.sa, w.ca, 1, struct.pack(">BBHI", 3, 3, 0, 0) + quoted, False)
case("a hello quoted by ICMP", "", w, tshark=False)
OUT.close()
