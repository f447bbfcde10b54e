package transport_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// FuzzFraming: however the bytes of a stream are cut, and whichever messages are detached, the same messages come in
// the same order, and no detached one changes.
func FuzzFraming(f *testing.F) {
	f.Add([]byte("one\ntwo\n\n\nthree\nfo"), uint64(1))
	f.Add([]byte("one\nbad\x00\ntwo\n"), uint64(2))
	f.Add([]byte(strings.Repeat(strings.Repeat("x", 900)+"\n", 40)), uint64(3))
	f.Add([]byte(strings.Repeat("y", 40_000)+"\nz\n"), uint64(4))
	f.Add([]byte("\x00"), uint64(5))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		for name, n := range map[string]transport.Network{"host": nil, "memory": newMemNet("127.0.0.1")} {
			frame(t, name, n, stream, seed)
		}
	})
}

func frame(t *testing.T, name string, n transport.Network, stream []byte, seed uint64) {
	var mu sync.Mutex
	var texts []string
	random := rand.New(rand.NewPCG(seed, 0))
	var detached sync.WaitGroup
	release := make(chan struct{})
	ended := make(chan error, 1)
	l := transport.New(transport.Config{
		Network:     n,
		NewSplitter: newLines,
		Receive: func(p *transport.Packet) {
			text := string(p.Data)
			mu.Lock()
			texts = append(texts, text)
			detach := random.IntN(4) == 0
			mu.Unlock()
			if detach {
				detached.Add(1)
				defer detached.Done()
				p.Detach()
				<-release
				if string(p.Data) != text {
					t.Errorf("%s: %q has become %q", name, text, p.Data)
				}
			}
		},
		Closed: func(_ transport.Flow, err error) { ended <- err },
	})
	ls, err := l.Listen(t.Context(), transport.TCP, netip.MustParseAddrPort("127.0.0.1:0"), "")
	require.NoError(t, err)

	var c net.Conn
	if n == nil {
		c = hostPhone(t, ls[0].Addr)
	} else {
		c, err = n.Dial(t.Context(), "tcp4", "", ls[0].Addr.String())
		require.NoError(t, err)
	}
	cuts := rand.New(rand.NewPCG(seed, 1))
	for rest := stream; len(rest) > 0; {
		k := min(len(rest), 1<<cuts.IntN(16))
		if _, err := c.Write(rest[:k]); err != nil {
			break // it was garbage
		}
		rest = rest[k:]
	}
	require.NoError(t, c.Close())
	cause := <-ended
	close(release)
	detached.Wait()
	require.NoError(t, l.Shutdown(t.Context()))

	want, wantErr := split(stream)
	require.Equal(t, want, texts, name)
	if wantErr != nil {
		require.ErrorIs(t, cause, wantErr, name)
	}
	st := l.Stats().Stream
	require.EqualValues(t, len(want), st.In, name)
	require.Zero(t, st.Buffered, name)
}

// split is what the transport has to come to. A peer that resets instead of closing may hide the end of a stream
// without garbage.
func split(stream []byte) (texts []string, err error) {
	good, _, garbage := bytes.Cut(stream, []byte{0})
	for line := range bytes.Lines(good) {
		if len(line) > 1 && line[len(line)-1] == '\n' {
			texts = append(texts, string(line))
		}
	}
	if garbage {
		return texts, transport.ErrGarbage
	}
	return texts, io.EOF
}
