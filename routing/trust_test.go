package routing

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// trial is a trust and how a handler of one method does.
type trial struct {
	trust
	asks int
}

// handle runs a handler that takes so long, on the reader if it may.
func (tr *trial) handle(took time.Duration) (onReader bool) {
	r := &Request{Message: tr.message()}
	if onReader = tr.allows(sip.MESSAGE); onReader {
		r.reading = &reading{}
		tr.asks++
	}
	began := time.Now()
	time.Sleep(took)
	tr.note(r, began)
	return onReader
}

func (tr *trial) message() *sip.Message {
	m, err := sip.Parse([]byte("MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n" +
		"Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		panic(err)
	}
	return m
}

// Which handlers are on the reader, and for how long they keep it from others, of ten seconds with 1,000 requests each.
func TestTrust(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		took     func(i int) time.Duration
		reader   [2]float64 // the least and the greatest share of the handlers that are on the reader
		heldMost time.Duration
	}{
		"quick":                      {func(i int) time.Duration { return ms / 50 }, [2]float64{0.98, 1}, time.Second},
		"quick but for now and then": {func(i int) time.Duration { return pick(i%100 == 0, ms, ms/50) }, [2]float64{0.95, 1}, time.Second},
		"2 ms every tenth":           {func(i int) time.Duration { return pick(i%10 == 0, 2*ms, ms/50) }, [2]float64{0, 0.06}, 200 * ms},
		"20 ms every tenth":          {func(i int) time.Duration { return pick(i%10 == 0, 20*ms, ms/50) }, [2]float64{0, 0.06}, 200 * ms},
		"always 0.33 ms":             {func(i int) time.Duration { return ms / 3 }, [2]float64{0, 0.06}, 200 * ms},
		"always 1 ms":                {func(i int) time.Duration { return ms }, [2]float64{0, 0}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &trial{trust: trust{epoch: time.Now()}}
				var held time.Duration
				for i := range 10_000 {
					if took := c.took(i); tr.handle(took) {
						held += took
					}
					time.Sleep(ms)
				}
				share := float64(tr.asks) / 10_000
				require.GreaterOrEqual(t, share, c.reader[0])
				require.LessOrEqual(t, share, c.reader[1])
				require.LessOrEqual(t, held, c.heldMost)
			})
		})
	}
}

func pick(first bool, a, b time.Duration) time.Duration {
	if first {
		return a
	}
	return b
}

// Workers are used again, and dismissed when there is nothing to do.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w workers
		next := make(chan *Request, 1)
		require.False(t, w.give(&Request{}), "nobody is idle")
		require.True(t, w.enlist(next))
		r := new(Request)
		require.True(t, w.give(r))
		require.Same(t, r, <-next)
		require.True(t, w.used())
		require.False(t, w.used())
		require.True(t, w.enlist(next))
		w.dismiss(false)
		require.Nil(t, <-next)
		for range maxIdle {
			require.True(t, w.enlist(make(chan *Request, 1)))
		}
		require.False(t, w.enlist(next), "there are enough")
		w.dismiss(true)
		require.False(t, w.enlist(next), "it is over")
	})
}
