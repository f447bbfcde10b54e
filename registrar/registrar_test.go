package registrar

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// brokenStore fails after it has asked for the new bindings.
type brokenStore struct {
	Store
	err error
}

func (s brokenStore) Update(ctx context.Context, aor string, f func([]Binding) ([]Binding, error)) error {
	if _, err := f(nil); err != nil {
		return fmt.Errorf("rolled back: %w", err)
	}
	return s.err
}

func (s brokenStore) Lookup(_ context.Context, _ string, dst []Binding) ([]Binding, error) {
	return dst, s.err
}

// RFC 3261 section 10.3 step 7: "If any one of them fails (for example, because the back-end database commit failed), the request
// MUST fail with a 500 (Server Error) response".
func TestStoreFails(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		failed := errors.New("disk on fire")
		p.reg.Store = brokenStore{p.reg.Store, failed}
		p.reg.OnChange = func(Event) { t.Error("nothing has changed") }
		for _, lines := range [][]string{{"Contact: <sip:bob@192.0.2.4>"}, {"Contact: *", "Expires: 0"}, nil} {
			res, err := p.reg.Answer(t.Context(), p.message(lines...), p.flow)
			require.Nil(t, res)
			require.ErrorIs(t, err, failed)
		}
		_, err := p.reg.Lookup(t.Context(), sip.URI{Scheme: "sip", User: "bob", Host: "example.org"})
		require.ErrorIs(t, err, failed)

		// What the rules refuse is an answer, also through a store that wraps it.
		p.reg.MaxContacts = 1
		p.register("Contact: <sip:a@192.0.2.4>, <sip:b@192.0.2.4>").refused(sip.StatusForbidden)

		p.reg.Store = brokenStore{nil, fmt.Errorf("shard 7: %w", ErrFull)}
		require.Equal(t, "60", p.register("Contact: <sip:bob@192.0.2.4>").refused(sip.StatusServiceUnavailable).Get(sip.RetryAfter))
		p.reg.RetryAfter = 300 * time.Second
		require.Equal(t, "300", p.register("Contact: <sip:bob@192.0.2.4>").refused(sip.StatusServiceUnavailable).Get(sip.RetryAfter))

		p.reg.Store = nil
		_, err = p.reg.Answer(t.Context(), p.message(), p.flow)
		require.ErrorIs(t, err, errNoStore)
		_, err = p.reg.Lookup(t.Context(), sip.URI{})
		require.ErrorIs(t, err, errNoStore)
	})
}

func TestBadContacts(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		for _, contact := range []string{
			"", ",", "<>", "<sip:>", "sip:", "bob", "<bob@192.0.2.4>", "<sip:bob@192.0.2.4", `"Bob <sip:bob@192.0.2.4>`, "<sip:bob@192.0.2.4>;",
			"<sip:bob@192.0.2.4:0>", "<sip:bob@[::1>", "<sip:bob@192.0.2.4>;reg-id=0", "<sip:bob@192.0.2.4>;reg-id=2147483648",
			"<sip:bob@192.0.2.4>;reg-id=x", `<sip:bob@192.0.2.4>;+sip.instance="<urn:\"x>"`,
		} {
			a := p.register("Contact: " + contact)
			require.Equal(t, sip.StatusBadRequest, a.Status(), contact)
		}
		p.has()
	})
}

func TestMaxContacts(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		list := func(from, to int, params string) string {
			var all []string
			for i := from; i < to; i++ {
				all = append(all, fmt.Sprintf("<sip:bob@192.0.2.%d>%s", i, params))
			}
			return "Contact: " + strings.Join(all, ", ")
		}
		p.register(list(0, 11, "")).refused(sip.StatusForbidden)
		p.has()
		p.register(list(0, 10, ""))
		p.another("2").register(list(10, 11, "")).refused(sip.StatusForbidden)
		require.Len(t, p.bindings(), 10)
		p.register(list(0, 10, ""))                                        // refreshing is no addition
		p.register(list(0, 10, ";expires=0"), list(10, 20, ""))            // as much as makes sense
		p.register(list(0, 21, ";expires=0")).refused(sip.StatusForbidden) // more than that
		require.Len(t, p.bindings(), 10)

		p.reg.MaxContacts = 2 // lowered: who has more may refresh and remove
		p.register(list(10, 14, ""))
		p.register(list(10, 12, ";expires=0"))
		require.Len(t, p.bindings(), 8)
		p.register(list(12, 15, ";expires=0"), list(50, 51, "")).refused(sip.StatusForbidden)

		p.reg.MaxContacts = -1
		p.register(list(0, 100, ""))
		require.Len(t, p.bindings(), 108-8)
	})
}

func TestMaxBindingSize(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.reg.MaxBindingSize = 200
		long := strings.Repeat("x", 130)
		p.register("Contact: <sip:bob@192.0.2.4>", "User-Agent: "+strings.Repeat("ü", 300)).lists("<sip:bob@192.0.2.4>;expires=3600")
		require.Equal(t, strings.Repeat("ü", 64), p.bindings()[0].UserAgent)
		p.register("Contact: <sip:bob@192.0.2.5>", "User-Agent: "+strings.Repeat("x", 127)+"ü")
		require.Equal(t, strings.Repeat("x", 127), p.bindings()[1].UserAgent)
		for _, lines := range [][]string{
			{"Contact: <sip:" + long + long + "@192.0.2.4>"},
			{"Contact: <sip:bob@192.0.2.4>", "Path: <sip:" + long + "@192.0.2.4>, <sip:" + long + "@192.0.2.4>"},
			{"Contact: <sip:bob@192.0.2.4>;+sip.instance=\"" + long + long + "\""},
		} {
			p.register(lines...).refused(sip.StatusBadRequest)
		}
		q := p.another(long + long)
		q.register("Contact: <sip:bob@192.0.2.4>").refused(sip.StatusBadRequest)
		q = p.another("c")
		q.to = "<sip:" + long + long + "@example.org>"
		q.register("Contact: <sip:bob@192.0.2.4>").refused(sip.StatusBadRequest)
	})
}

// RFC 3327 section 5.3: the registrar keeps the Path with the contact and copies it into the 200.
func TestPath(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		a := p.register("Contact: <sip:bob@192.0.2.4>", "Supported: gruu, path", "Path: <sip:p3.example.org;lr> , <sip:p2.example.org;lr>",
			"Path: <sip:x@p1.example.org;lr;ob>")
		require.Equal(t, "<sip:p3.example.org;lr> , <sip:p2.example.org;lr>,<sip:x@p1.example.org;lr;ob>", a.Get(sip.Path))
		require.Equal(t, a.Get(sip.Path), p.bindings()[0].Path)
		require.False(t, p.register("Contact: <sip:bob@192.0.2.4>", "Path: <sip:p1.example.org;lr>").Has(sip.Path))
		require.Equal(t, "<sip:p1.example.org;lr>", p.bindings()[0].Path)
		p.register("Contact: <sip:bob@192.0.2.4>")
		require.Empty(t, p.bindings()[0].Path)
		p.register("Contact: <sip:bob@192.0.2.4>", "Path: <sip:p1.example.org;lr").refused(sip.StatusBadRequest)
	})
}

// A binding is all that is needed to reach its contact, also behind a NAT, and to tell the user which device it is.
func TestBindingFields(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.flow = transport.Flow{
			Protocol: transport.TLS,
			Local:    netip.MustParseAddrPort("[2001:db8::1]:5061"),
			Remote:   netip.MustParseAddrPort("[2001:db8::99]:40000"),
			Conn:     77,
		}
		p.register("Via: SIP/2.0/TLS edge.example.org;branch=z9hG4bK1", "Via: SIP/2.0/UDP 10.0.0.9:5062;rport=4711;received=203.0.113.7;branch=z9hG4bK2",
			`Contact: "Bob" <sip:bob@10.0.0.9:5062;ob>;q=0.7;reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";expires=600`,
			"User-Agent: phone/1.0 (x)").
			lists(`<sip:bob@10.0.0.9:5062;ob>;q=0.7;expires=600;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"`)
		require.Equal(t, []Binding{{
			Contact: "sip:bob@10.0.0.9:5062;ob", CallID: "bobs-phone", CSeq: 1, Q: 700, RegID: 1,
			Instance:   "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>",
			UserAgent:  "phone/1.0 (x)",
			Flow:       p.flow,
			Received:   netip.MustParseAddrPort("203.0.113.7:4711"),
			Registered: time.Now().Truncate(time.Millisecond), Expires: time.Now().Add(600 * time.Second).Truncate(time.Millisecond),
		}}, p.bindings())
		u := p.bindings()[0].URI()
		require.Equal(t, "10.0.0.9", u.Host)
		require.True(t, u.Params.Has("ob"))

		wait(time.Second)
		p.flow = udpFlow // moved to another network
		p.register("Contact: <sip:bob@10.0.0.9:5062;ob>")
		b := p.bindings()[0]
		require.Equal(t, udpFlow, b.Flow)
		require.Zero(t, b.Received)
		require.Zero(t, b.RegID)
		require.Equal(t, time.Now().Truncate(time.Millisecond), b.Registered)
	})
}

func TestReceived(t *testing.T) {
	const edge = "Via: SIP/2.0/TLS edge.example.org;branch=z9hG4bK1"
	inBubble(t, func(t *testing.T, p *phone) {
		for via, want := range map[string]string{
			"192.0.2.8:5070;received=203.0.113.7;rport=9":   "203.0.113.7:9",
			"192.0.2.8:5070;received=203.0.113.7":           "203.0.113.7:5070",
			"192.0.2.8;received=2001:db8::1;rport=9":        "[2001:db8::1]:9",
			"192.0.2.8;received=[2001:db8::1];rport=9":      "[2001:db8::1]:9",
			"192.0.2.8;received=::ffff:203.0.113.7;rport=9": "203.0.113.7:9",
			"192.0.2.8;rport":                               "invalid AddrPort",
			"192.0.2.8":                                     "invalid AddrPort",
		} {
			p.register(edge, "Via: SIP/2.0/UDP "+via+";branch=z9hG4bK2", "Contact: <sip:bob@192.0.2.4>")
			require.Equal(t, want, p.bindings()[0].Received.String(), via)
			p.register("Via: SIP/2.0/UDP "+via+";branch=z9hG4bK2", "Contact: <sip:bob@192.0.2.4>") // its address is the flow's
			require.Zero(t, p.bindings()[0].Received)
		}
	})
}

func TestEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		var mu sync.Mutex
		var events []string
		note := func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, fmt.Sprintf("%v %s %s %d", e.Kind, e.AOR, e.Binding.Contact, e.Binding.CSeq))
		}
		p.reg.OnChange, p.reg.Store.(*MemoryStore).OnExpire = note, note
		expect := func(want ...string) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, want, events)
			events = nil
		}
		p.register("Contact: <sip:a@192.0.2.4>, <sip:b@192.0.2.4>;q=0.1;expires=600")
		expect("registered sip:bob@example.org sip:a@192.0.2.4 1", "registered sip:bob@example.org sip:b@192.0.2.4 1")
		p.register("Contact: <sip:%61@192.0.2.4>, <sip:c@192.0.2.4>;expires=0")
		expect("refreshed sip:bob@example.org sip:%61@192.0.2.4 2")
		p.register()
		p.send(p.repeat("Contact: <sip:c@192.0.2.4>, <sip:a@192.0.2.4>;expires=1")).refused(423)
		p.register("Contact: <sip:c@192.0.2.4>, <sip:a@192.0.2.4>;expires=0", "Expires: 700")
		expect("registered sip:bob@example.org sip:c@192.0.2.4 4", "removed sip:bob@example.org sip:%61@192.0.2.4 2")
		wait(600 * time.Second)
		expect("expired sip:bob@example.org sip:b@192.0.2.4 1")
		p.register("Contact: *", "Expires: 0")
		expect("removed sip:bob@example.org sip:c@192.0.2.4 4")
		wait(time.Hour)
		expect()
		require.Equal(t, "unknown", EventKind(0).String())
	})
}
