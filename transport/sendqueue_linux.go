package transport

import (
	"bytes"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sendBatch = 32
	maxQueued = 2048 // bytes of a datagram; longer ones are rare and not queued
)

// sendQueue is the datagrams for one sendmmsg(2), in what the kernel reads: the pointers in headers lead to the other arrays.
type sendQueue struct {
	n, sent int // headers[sent:n] are to be sent
	headers [sendBatch]mmsghdr
	vectors [sendBatch]unix.Iovec
	names   [sendBatch]unix.RawSockaddrInet6
	to      [sendBatch]netip.AddrPort
	text    [sendBatch][]byte
}

func (q *sendQueue) init() {
	for i := range q.headers {
		h := &q.headers[i].header
		h.Name = (*byte)(unsafe.Pointer(&q.names[i]))
		h.Iov = &q.vectors[i]
		h.SetIovlen(1)
	}
}

func (q *sendQueue) full() bool { return q.n == sendBatch }

// add copies b into the queue, which is not full.
func (q *sendQueue) add(to netip.AddrPort, b []byte) {
	i := q.n
	q.n++
	q.to[i] = to
	q.text[i] = append(q.text[i][:0], b...)
	q.headers[i].header.Namelen = uint32(setName(&q.names[i], to))
	q.vectors[i].Base = &q.text[i][0]
	q.vectors[i].SetLen(len(b))
}

// flush gives the kernel what it takes; false if it has no room for all. What it refuses is noted in d.failed.
func (q *sendQueue) flush(fd uintptr, d *sender) bool {
	for q.sent < q.n {
		n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&q.headers[q.sent])), uintptr(q.n-q.sent),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch e {
		case 0:
			q.count(d, int(n))
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default: // of the first one
			q.refuse(d, e)
		}
	}
	q.n, q.sent = 0, 0
	return true
}

// count notes that n have been sent.
func (q *sendQueue) count(d *sender, n int) {
	size := 0
	for _, text := range q.text[q.sent : q.sent+n] {
		size += len(text)
	}
	q.sent += n
	d.socket.out.packets.Add(uint64(n))
	d.socket.out.bytes.Add(uint64(size))
}

// refuse takes out the first one, which could not be sent.
func (q *sendQueue) refuse(d *sender, err error) {
	d.failed = append(d.failed, failure{q.to[q.sent], bytes.Clone(q.text[q.sent]), err})
	q.sent++
}

// drop takes all out when the socket is closed.
func (q *sendQueue) drop(d *sender) {
	for q.sent < q.n {
		q.refuse(d, net.ErrClosed)
	}
	q.n, q.sent = 0, 0
}
