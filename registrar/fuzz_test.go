package registrar

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// FuzzRegister gives any Contact, Expires and Path to the rules, over bindings that are there already: they never panic, a refusal
// changes nothing, and what they accept is a list that is sorted, live, within its limits, and readable in the 200.
func FuzzRegister(f *testing.F) {
	for _, contact := range []string{
		"<sip:a@192.0.2.4>", "*", `"B, ob" <sip:a@192.0.2.4;ob>;q=0.5;expires=100, <sips:b@[::1]:5061>;reg-id=1;+sip.instance="<urn:x>"`,
		"sip:%61@192.0.2.4;expires=0, <sip:a@192.0.2.4>", "<sip:c@192.0.2.4;security=off>, <sip:c@192.0.2.4>;expires=0",
		"<tel:+1-212-555-1212>, <mailto:x@y>, <urn:service:sos>;q=1.000", "*, *", "<sip:a@b?Route=%3Csip:x%3E>;expires=99999999999999999999",
		"<sip:a@b>;q=;expires=;reg-id=;+sip.instance=", ",", "sip:a@b,sip:a@c,sip:a@d,sip:a@e,sip:a@f,sip:a@g",
	} {
		f.Add(contact, "0", "<sip:p1.example.org;lr>", uint32(3))
		f.Add(contact, "600", "", uint32(9))
		f.Add(contact, "x", "<sip:p1>, sip:p2", uint32(4294967295))
	}
	now := time.Unix(1_000_000_000, 0)
	f.Fuzz(func(t *testing.T, contact, expires, path string, cseq uint32) {
		if strings.ContainsAny(contact+expires+path, "\r\n") {
			return // other header fields
		}
		lines := []string{"Contact: " + contact, "Expires: " + expires}
		if path != "" {
			lines = append(lines, "Path: "+path)
		}
		req, err := sip.Parse([]byte(registerText(bob, "mine", int(cseq), lines...)))
		if err != nil {
			return
		}
		r := &Registrar{MaxContacts: 4, MaxBindingSize: 400}
		reg, refused := r.read(req, udpFlow, now)
		if refused != nil {
			checkRefusal(t, refused)
			return
		}
		old := fuzzBindings(now)
		bindings, events, err := reg.apply(slices.Clone(old), true)
		if err != nil {
			require.True(t, errors.As(err, &refused))
			checkRefusal(t, refused)
			require.False(t, refused == errOutOfOrder && cseq > 7, "later than all bindings")
			return
		}
		checkBindings(t, r, reg, old, bindings)
		checkEvents(t, old, bindings, events)
		checkOK(t, r.ok(req, reg, bindings), req, bindings, now)
	})
}

func fuzzBindings(now time.Time) []Binding {
	all := []Binding{
		{Contact: "sip:a@192.0.2.4", CallID: "mine", CSeq: 7}, // the highest of mine
		{Contact: "sip:c@192.0.2.4;security=on", CallID: "other", CSeq: 100},
		{Contact: "sip:c@192.0.2.4;security=off", CallID: "mine", CSeq: 1},
	}
	for i := range all {
		all[i].Q, all[i].Registered, all[i].Expires = MaxQ, now.Add(-time.Minute), now.Add(time.Minute)
	}
	return all
}

func checkRefusal(t *testing.T, r *refusal) {
	require.Contains(t, []int{400, 403, 420, 423, 500}, r.status)
	require.NoError(t, r.response().Err())
}

func checkBindings(t *testing.T, r *Registrar, reg *registration, old, bindings []Binding) {
	require.True(t, slices.IsSortedFunc(bindings, preferred))
	require.LessOrEqual(t, len(bindings), max(len(old), r.MaxContacts))
	for i, b := range bindings {
		require.False(t, b.URI().IsZero(), b.Contact)
		require.True(t, b.Live(reg.now))
		require.False(t, slices.ContainsFunc(bindings[:i], func(o Binding) bool { return o.Contact == b.Contact }))
		if slices.Contains(old, b) {
			continue
		}
		require.Equal(t, []any{"mine", reg.cseq, reg.now}, []any{b.CallID, b.CSeq, b.Registered})
		require.LessOrEqual(t, int(b.Q), MaxQ)
		require.LessOrEqual(t, b.Expires.Sub(reg.now), 24*time.Hour)
		require.LessOrEqual(t, len(reg.aor)+b.textSize(), r.MaxBindingSize)
	}
	if reg.all {
		require.Empty(t, bindings)
	}
}

// checkEvents checks that the events say what has become of the old bindings.
func checkEvents(t *testing.T, old, bindings []Binding, events []Event) {
	n := len(old)
	for _, e := range events {
		switch e.Kind {
		case Registered:
			n++
			require.Contains(t, bindings, e.Binding)
		case Refreshed:
			require.Contains(t, bindings, e.Binding)
		case Removed:
			n--
			require.NotContains(t, bindings, e.Binding)
			require.Contains(t, old, e.Binding)
		default:
			t.Errorf("an event of kind %v", e.Kind)
		}
	}
	require.Len(t, bindings, n)
}

// checkOK checks that a client reads the bindings in the 200.
func checkOK(t *testing.T, res *sip.Response, req *sip.Message, bindings []Binding, now time.Time) {
	require.NoError(t, res.Err())
	m := parse(t, string(sip.AppendResponse(nil, req, res, "tag")))
	i := 0
	for addr, err := range m.Contacts() {
		require.NoError(t, err)
		require.Less(t, i, len(bindings))
		b := &bindings[i]
		require.Equal(t, b.Contact, addr.URI.String())
		seconds, _ := addr.Params.Get("expires")
		require.EqualValues(t, b.Remaining(now), parseExpires(seconds))
		instance, _ := addr.Params.Get("+sip.instance")
		require.Equal(t, b.Instance, instance)
		i++
	}
	require.Len(t, bindings, i)
}
