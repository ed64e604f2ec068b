package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Shape of the ring: 16 MiB held without loss at 400,000 packets a second unfiltered (measured).
const (
	ringBlock  = 1 << 20
	ringBlocks = 16
	ringRetire = 50 * time.Millisecond // after which a block that is not full is handed over
)

// Offsets inside a block and inside a tpacket3_hdr (Linux include/uapi/linux/if_packet.h).
const (
	blkStatus = 8
	blkCount  = 12
	blkFirst  = 16
	pktNext   = 0
	pktSec    = 4
	pktNano   = 8
	pktSnap   = 12
	pktLen    = 16
	pktStatus = 20
	pktMAC    = 24
	pktTCI    = 32
	pktTPID   = 36
	// of the sockaddr_ll behind it
	pktIndex    = 52
	pktKind     = 56
	pktType     = 58
	pktFullSize = 68
)

// frame is what stands in the ring about one packet. Its bytes are borrowed.
type frame struct {
	data       []byte
	orig       int
	at         time.Time
	index      int32  // of the interface, as the system counts
	kind       uint16 // hardware type of the interface
	packetType byte
}

// ring is the memory that the kernel fills.
type ring struct {
	mem     []byte
	next    int           // block that is looked at next
	scratch []byte        // for frames whose VLAN tag is put back
	retire  time.Duration // after which a block that is not full is handed over
}

// newRing gives a socket its ring. Packets wait in it for at most retire; ringRetire when 0.
func newRing(fd int, retire time.Duration) (*ring, error) {
	if retire <= 0 {
		retire = ringRetire
	}
	req := unix.TpacketReq3{
		Block_size: ringBlock, Block_nr: ringBlocks, Frame_size: 2048,
		Frame_nr: ringBlock * ringBlocks / 2048, Retire_blk_tov: uint32(max(1, retire.Milliseconds())),
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("make packet ring: %w", err)
	}
	mem, err := unix.Mmap(fd, 0, ringBlock*ringBlocks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map packet ring: %w", err)
	}
	return &ring{mem: mem, retire: retire}, nil
}

func (r *ring) close() { _ = unix.Munmap(r.mem) }

// status is the word by which kernel and program hand a block to each other.
func (r *ring) status(block []byte) *uint32 {
	return (*uint32)(unsafe.Pointer(&block[blkStatus]))
}

// ready tells whether the kernel has released the next block.
func (r *ring) ready() bool {
	return atomic.LoadUint32(r.status(r.mem[r.next*ringBlock:]))&unix.TP_STATUS_USER != 0
}

// drain hands on the packets of every block that the kernel has released, and returns the blocks.
func (r *ring) drain(ctx context.Context, fn func(*frame) error) error {
	for range ringBlocks {
		block := r.mem[r.next*ringBlock : (r.next+1)*ringBlock]
		if atomic.LoadUint32(r.status(block))&unix.TP_STATUS_USER == 0 {
			return nil
		}
		err := r.walk(ctx, block, fn)
		atomic.StoreUint32(r.status(block), unix.TP_STATUS_KERNEL)
		r.next = (r.next + 1) % ringBlocks
		if err != nil {
			return err
		}
	}
	return nil
}

// stopEvery is how many packets of a block are handed on before a stop is looked for again: a block
// can hold ten thousand.
const stopEvery = 128

func (r *ring) walk(ctx context.Context, block []byte, fn func(*frame) error) error {
	at := int(binary.NativeEndian.Uint32(block[blkFirst:]))
	var f frame
	for n := range binary.NativeEndian.Uint32(block[blkCount:]) {
		if n%stopEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if at < 0 || at+pktFullSize > len(block) {
			return fmt.Errorf("packet ring: header at %d is outside its block", at)
		}
		h := block[at:]
		from, n := int(binary.NativeEndian.Uint16(h[pktMAC:])), int(binary.NativeEndian.Uint32(h[pktSnap:]))
		if n < 0 || from+n > len(h) {
			return fmt.Errorf("packet ring: packet at %d is outside its block", at)
		}
		f.data, f.orig = r.retag(h, h[from:from+n], int(binary.NativeEndian.Uint32(h[pktLen:])))
		f.at = time.Unix(int64(binary.NativeEndian.Uint32(h[pktSec:])), int64(binary.NativeEndian.Uint32(h[pktNano:])))
		f.index, f.kind, f.packetType = int32(binary.NativeEndian.Uint32(h[pktIndex:])), binary.NativeEndian.Uint16(h[pktKind:]), h[pktType]
		if err := fn(&f); err != nil {
			return err
		}
		step := int(binary.NativeEndian.Uint32(h[pktNext:]))
		if step == 0 {
			return nil
		}
		at += step
	}
	return nil
}

// retag puts back the outer VLAN tag, which the kernel has taken out of received frames.
func (r *ring) retag(h, frame []byte, orig int) ([]byte, int) {
	status := binary.NativeEndian.Uint32(h[pktStatus:])
	if status&unix.TP_STATUS_VLAN_VALID == 0 || len(frame) < 12 {
		return frame, orig
	}
	tpid := uint16(etherVLAN)
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = binary.NativeEndian.Uint16(h[pktTPID:])
	}
	r.scratch = append(r.scratch[:0], frame[:12]...)
	r.scratch = binary.BigEndian.AppendUint16(r.scratch, tpid)
	r.scratch = binary.BigEndian.AppendUint16(r.scratch, uint16(binary.NativeEndian.Uint32(h[pktTCI:])))
	r.scratch = append(r.scratch, frame[12:]...)
	return r.scratch, orig + 4
}
