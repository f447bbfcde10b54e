package transaction

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// A user that blocks in Request hears of a CANCEL and of the end once it has shown that it knows the transaction.
func TestRequestBlocks(t *testing.T) {
	block := func(w *world, body func(tx *Server)) {
		w.request = func(tx *Server, m *sip.Message) {
			if tx.Method() == sip.INVITE {
				body(tx)
				w.note("Request returns")
			}
		}
		go w.receive(udp, invite)
		w.until(0.1)
		w.receive(udp, cancelOf)
		w.until(60)
	}
	t.Run("without SetData", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			block(w, func(tx *Server) {
				time.Sleep(time.Second)
				require.NoError(t, w.respond(invite, 200))
				time.Sleep(49 * time.Second)
			})
			w.want(
				"0.000 Request INVITE",
				"0.100 > 200 (CANCEL)",
				"0.200 > 100 (INVITE)",
				"1.000 > 200 (INVITE)",
				"50.000 Request returns",
				"50.000 Cancel of INVITE",
				"50.000 Ended INVITE")
		})
	})
	t.Run("SetData at once", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			block(w, func(tx *Server) {
				tx.SetData("mine")
				require.Equal(t, "mine", tx.Data())
				time.Sleep(time.Second)
				require.NoError(t, w.respond(invite, 200))
				time.Sleep(49 * time.Second)
			})
			w.want(
				"0.000 Request INVITE",
				"0.100 > 200 (CANCEL)",
				"0.100 Cancel of INVITE",
				"0.200 > 100 (INVITE)",
				"1.000 > 200 (INVITE)",
				"33.000 Ended INVITE",
				"50.000 Request returns")
		})
	})
	t.Run("SetData after the CANCEL", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			block(w, func(tx *Server) {
				time.Sleep(time.Second)
				w.mu.Lock() // Cancel is not called from within SetData, which would deadlock
				tx.SetData("mine")
				w.mu.Unlock()
				time.Sleep(time.Second)
				require.NoError(t, w.respond(invite, 487))
				w.receive(udp, ackOf)
			})
			w.want(
				"0.000 Request INVITE",
				"0.100 > 200 (CANCEL)",
				"0.200 > 100 (INVITE)",
				"1.000 Cancel of INVITE",
				"2.000 > 487 (INVITE)",
				"2.000 Request returns",
				"7.000 Ended INVITE")
		})
	})
}

// The user is told of the end when it is done with the CANCEL.
func TestCancelBlocks(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.cancel = func(tx *Server) {
			time.Sleep(time.Second)
			w.note("Cancel returns")
		}
		w.receive(tcp, invite)
		go w.receive(tcp, cancelOf)
		w.until(0.1)
		w.respond(invite, 487)
		w.receive(tcp, ackOf)
		w.until(2)
		w.want(
			"0.000 Request INVITE",
			"0.000 > 200 (CANCEL)",
			"0.000 Cancel of INVITE",
			"0.100 > 487 (INVITE)",
			"1.000 Cancel returns",
			"1.000 Ended INVITE")
	})
}

// The user may hold its own locks when it calls the transaction: it is not called back from there.
func TestNoCallFromWithin(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, options)
		tx := w.last
		w.mu.Lock() // which Ended needs
		tx.Drop()
		tx.Drop()
		w.mu.Unlock()
		w.want("0.000 Request OPTIONS", "0.000 Ended OPTIONS")
	})
}

// Drop ends a transaction without a trace.
func TestDrop(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.request = func(tx *Server, m *sip.Message) { tx.Drop() }
		w.receive(udp, invite)
		w.receive(udp, invite)
		require.ErrorIs(t, w.respond(invite, 200), ErrEnded)
		w.receive(udp, cancelOf)
		w.want(
			"0.000 Request INVITE",
			"0.000 Ended INVITE",
			"0.000 Request INVITE",
			"0.000 Ended INVITE",
			"0.000 > 481 (CANCEL)")
	})
}

// Answers from within Request, the most frequent case, need no timer's goroutine.
func TestAnswerInRequest(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.request = func(tx *Server, m *sip.Message) {
			require.NoError(t, tx.Respond(200, w.response(options, 200)))
			w.note("Respond returns")
		}
		w.receive(tcp, options)
		require.Zero(t, w.table.Stats().NonInviteServer.Live)
		w.want("0.000 Request OPTIONS", "0.000 > 200 (OPTIONS)", "0.000 Respond returns", "0.000 Ended OPTIONS")
	})
}

// The timers that only end a wait fire together, at most Slack later.
func TestSlack(t *testing.T) {
	inWorld(t, Config{Shards: 1, Timers: Timers{Slack: 100 * time.Millisecond}}, func(w *world) {
		for i := range 10 {
			x := options
			x.via += "192.0.2.9;branch=z9hG4bK" + string(rune('a'+i))
			w.receive(udp, x)
			w.respond(x, 200)
			time.Sleep(9 * time.Millisecond)
		}
		w.forget()
		w.until(31.999)
		w.want()
		w.until(40)
		w.want("32.000 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS",
			"32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS")
	})
}

// Shutdown tells the users, and after it nothing is sent and nobody is called.
func TestShutdown(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, invite)
		tx := w.last
		w.receive(udp, options)
		done := w.last
		w.respond(options, 200)
		out := options
		out.callID = "out"
		c, _ := w.send(udp, out, &caller{w: w})
		answered := invite
		answered.callID = "answered"
		w.send(udp, answered, &caller{w: w})
		w.answer(udp, answered, 200)
		w.forget()
		w.table.Shutdown()
		require.ElementsMatch(t, []string{
			"0.000 Failed: transaction: table is shut down", "0.000 Ended", // out
			"0.000 Ended", // answered
			"0.000 Ended INVITE: transaction: table is shut down",
			"0.000 Ended OPTIONS: transaction: table is shut down",
		}, w.log)
		w.forget()
		w.table.Shutdown()

		require.ErrorIs(t, tx.Respond(200, nil), ErrClosed)
		tx.Drop()
		tx.SetData(1)
		done.SetFlow(tcp)
		c.Cancel("")
		c.SetTimeout(time.Second)
		_, err := w.send(udp, invite, nil)
		require.ErrorIs(t, err, ErrClosed)
		w.receive(udp, invite)
		w.receive(udp, ackOf)
		w.receive(udp, cancelOf)
		w.answer(udp, out, 200)
		time.Sleep(time.Minute)
		w.want()
	})
}
