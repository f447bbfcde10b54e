package registrar

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// bob is the address of record of the tests, bobsKey the same in its canonical form.
const (
	bob     = "<sip:bob@example.org>"
	bobsKey = "sip:bob@example.org"
)

var udpFlow = transport.Flow{
	Protocol: transport.UDP,
	Local:    netip.MustParseAddrPort("198.51.100.1:5060"),
	Remote:   netip.MustParseAddrPort("203.0.113.9:40000"),
}

// phone sends REGISTERs to a registrar and looks at the answers.
type phone struct {
	t      *testing.T
	reg    *Registrar
	callID string
	to     string
	flow   transport.Flow
	cseq   int
}

// inBubble runs f in virtual time, which stands still unless f sleeps, with a phone of bob's at a registrar with a MemoryStore.
func inBubble(t *testing.T, f func(t *testing.T, p *phone)) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		defer store.Close()
		f(t, &phone{t: t, reg: &Registrar{Store: store}, callID: "bobs-phone", to: bob, flow: udpFlow})
	})
}

// another returns another phone of bob's.
func (p *phone) another(callID string) *phone {
	q := *p
	q.callID, q.cseq = callID, 0
	return &q
}

// message returns a REGISTER with the next CSeq and these further lines; a Via among them takes the place of the usual one.
func (p *phone) message(lines ...string) *sip.Message {
	p.t.Helper()
	p.cseq++
	return p.repeat(lines...)
}

// repeat returns a REGISTER with the same CSeq as the one before.
func (p *phone) repeat(lines ...string) *sip.Message {
	p.t.Helper()
	return parse(p.t, registerText(p.to, p.callID, p.cseq, lines...))
}

func registerText(to, callID string, cseq int, lines ...string) string {
	all := []string{"REGISTER sip:example.org SIP/2.0"}
	if !strings.Contains(strings.Join(lines, "\r\n"), "Via:") {
		all = append(all, "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK776asdhds")
	}
	all = append(all, "From: <sip:bob@example.org>;tag=9fxced76sl", "To: "+to, "Call-ID: "+callID,
		fmt.Sprintf("CSeq: %d REGISTER", cseq), "Max-Forwards: 70")
	all = append(all, lines...)
	return strings.Join(append(all, "Content-Length: 0", "", ""), "\r\n")
}

func parse(t testing.TB, text string) *sip.Message {
	t.Helper()
	m, err := sip.Parse([]byte(text))
	require.NoError(t, err)
	return m
}

// answer is what the registrar answered, as it goes out.
type answer struct {
	*sip.Message
	t *testing.T
}

// register sends a REGISTER with these further lines.
func (p *phone) register(lines ...string) answer {
	p.t.Helper()
	return p.send(p.message(lines...))
}

func (p *phone) send(req *sip.Message) answer {
	p.t.Helper()
	res, err := p.reg.Answer(p.t.Context(), req, p.flow)
	require.NoError(p.t, err)
	return answer{parse(p.t, string(sip.AppendResponse(nil, req, res, "tag"))), p.t}
}

// refused checks that the answer has the status.
func (a answer) refused(status int) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.Status(), a.Text())
	require.False(a.t, a.Has(sip.Contact), "a refusal lists no bindings")
	return a
}

// lists checks that the answer is a 200 with just these Contact values.
func (a answer) lists(contacts ...string) answer {
	a.t.Helper()
	require.Equal(a.t, sip.StatusOK, a.Status(), a.Text())
	var got []string
	for v := range a.Values(sip.Contact) {
		got = append(got, v)
	}
	require.Equal(a.t, contacts, got)
	return a
}

// has checks that these are the bindings, as a fetch shows them.
func (p *phone) has(contacts ...string) {
	p.t.Helper()
	p.another("fetch").register().lists(contacts...)
}

// bindings returns what a proxy gets.
func (p *phone) bindings() []Binding {
	p.t.Helper()
	u, err := sip.ParseURI(strings.Trim(p.to, "<>"))
	require.NoError(p.t, err)
	bindings, err := p.reg.Lookup(p.t.Context(), u)
	require.NoError(p.t, err)
	return bindings
}

func contacts(bindings []Binding) (all []string) {
	for i := range bindings {
		all = append(all, bindings[i].Contact)
	}
	return all
}

// wait lets time pass.
func wait(d time.Duration) {
	time.Sleep(d) // in a bubble
	synctest.Wait()
}
