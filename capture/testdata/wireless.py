"""Writes captures of 802.11 with scapy: one attempt to say hello in each shape that data frames have.

    python3 wireless.py FOLDER      # needs scapy; writes wifi.pcap (link type 105) and radiotap.pcap (127)
"""
import sys
from scapy.all import (DNS, DNSQR, IP, LLC, SNAP, TCP, UDP, Dot11, Dot11Beacon, Dot11QoS, IPv6, RadioTap, Raw,
                       PcapWriter)

CLIENT, SERVER, AP, OTHER = "02:00:0a:14:00:07", "02:00:0a:01:00:0a", "02:00:00:00:00:01", "02:00:00:00:00:02"


def hello(last):
    """A psk hello: admin 0, version 2, retry 0, UUID, PID 4KRG65QT (reference: the hello's 32 bytes)."""
    uuid = bytes.fromhex("44454c4c5800103980590000000000") + bytes([last])
    return bytes.fromhex("0000" "0200" "00000000") + uuid + b"4KRG65QT"


def data(payload, up=True, qos=False, four=False, order=False, kind=0x0800, retry=False):
    """A data frame: up to the access point, down from it, or between two (four addresses)."""
    flags = "to-DS+from-DS" if four else "to-DS" if up else "from-DS"
    if order:
        flags += "+order"
    if retry:
        flags += "+retry"
    f = Dot11(type=2, subtype=8 if qos else 0, FCfield=flags, addr1=AP if up else CLIENT, addr2=CLIENT if up else AP,
              addr3=SERVER, addr4=CLIENT if four else None)
    if qos:
        f = f / Dot11QoS()
    body = bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=kind) / payload)
    if order:
        body = b"\0\0\0\0" + body
    return f / Raw(body)


def attempt(n, v6=False, **how):
    """SYN, SYN-ACK, hello and FIN of client n."""
    if v6:
        c, s, kind = IPv6(src="2001:db8::%d" % n, dst="2001:db8:1::10"), IPv6(src="2001:db8:1::10", dst="2001:db8::%d" % n), 0x86DD
    else:
        c, s, kind = IP(src="10.20.0.%d" % n, dst="10.1.0.10"), IP(src="10.1.0.10", dst="10.20.0.%d" % n), 0x0800
    up, down = dict(sport=16994, dport=9971), dict(sport=9971, dport=16994)
    yield data(c / TCP(flags="S", seq=100, **up), kind=kind, **how)
    yield data(s / TCP(flags="SA", seq=500, ack=101, **down), up=False, kind=kind, **how)
    yield data(c / TCP(flags="PA", seq=101, ack=501, **up) / Raw(hello(n)), kind=kind, **how)
    yield data(c / TCP(flags="FA", seq=133, ack=501, **up), kind=kind, **how)


def aggregated(n):
    """An attempt whose SYN and hello stand in one A-MSDU, behind a frame of something else."""
    c = IP(src="10.20.0.%d" % n, dst="10.1.0.10")
    inner = [UDP(sport=5000, dport=5001) / Raw(b"x" * 33), TCP(sport=16994, dport=9971, flags="S", seq=100),
             TCP(sport=16994, dport=9971, flags="PA", seq=101, ack=501) / Raw(hello(n))]
    body = b""
    for part in inner:
        msdu = bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800) / c / part)
        body += b"\0" * (-len(body) % 4)
        body += bytes.fromhex(SERVER.replace(":", "") + CLIENT.replace(":", "")) + len(msdu).to_bytes(2, "big") + msdu
    yield Dot11(type=2, subtype=8, FCfield="to-DS", addr1=AP, addr2=CLIENT, addr3=AP) / Dot11QoS(A_MSDU_Present=1) / Raw(body)


def frames():
    yield Dot11(type=0, subtype=8, addr1="ff:ff:ff:ff:ff:ff", addr2=AP, addr3=AP) / Dot11Beacon() / Raw(b"\0\4lab1")
    yield Dot11(type=1, subtype=13, addr1=AP)  # an acknowledgement
    yield Dot11(type=2, subtype=4, FCfield="to-DS", addr1=AP, addr2=CLIENT, addr3=AP)  # no data
    yield from attempt(1)
    yield from attempt(2, qos=True)
    yield from attempt(3, four=True)
    yield from attempt(4, qos=True, four=True, order=True)
    yield from attempt(5, v6=True, qos=True)
    yield from attempt(6, qos=True, retry=True)
    yield from aggregated(7)
    secret = bytes(data(IP(src="10.20.0.8", dst="10.1.0.10") / TCP(sport=16994, dport=9971, flags="S")))
    yield Raw(bytes([secret[0], secret[1] | 0x40]) + secret[2:])  # protected: what looks like a SYN is none
    yield data(IP(src="10.20.0.9", dst="10.1.0.53") / UDP(sport=40000, dport=53) / DNS(rd=1, qd=DNSQR(qname="provisionserver.corp.example")))


def write(name, link, head):
    w = PcapWriter(name, linktype=link)
    w.write_header(None)
    for i, f in enumerate(frames()):
        b = head + bytes(f)
        w._write_packet(b, sec=1700000000, usec=1000 * i, caplen=len(b), wirelen=len(b))
    w.close()


write(sys.argv[1] + "/wifi.pcap", 105, b"")
write(sys.argv[1] + "/radiotap.pcap", 127, bytes(RadioTap(present="TSFT+Flags+Rate", mac_timestamp=7, Flags=0, Rate=12)))
