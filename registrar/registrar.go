package registrar

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// Registrar answers REGISTER requests and says where an address of record can be reached (RFC 3261 section 10). Set its fields, then
// use it from any number of goroutines; it must not be copied after that. All but Store may be left zero.
type Registrar struct {
	// Store keeps the bindings; without one every REGISTER and every Lookup fails.
	Store Store

	// Domains says whether bindings are kept for addresses of record at that host, which comes as it was written, an IPv6 address in
	// brackets; others get 404. It is called for each REGISTER and must not block. nil means that the caller sees to that.
	Domains func(host string) bool

	// MinExpires, MaxExpires and DefaultExpires are the shortest and longest expiration interval, and that of a contact for which
	// none was asked; whole seconds. 0 means a minute, a day and an hour; a negative minimum or maximum means none. A longer
	// interval than MaxExpires is shortened. A shorter one than MinExpires gets 423, unless it is 0, a removal, or an hour or more.
	MinExpires, MaxExpires, DefaultExpires time.Duration

	// MaxContacts is the number of bindings that an address of record may have: 0 means 10, negative no bound. A REGISTER that would
	// add to more gets 403, as does one with more than twice as many contacts.
	MaxContacts int

	// MaxBindingSize is the number of bytes that a binding's texts and the address of record may have together: 0 means 2048,
	// negative no bound. A REGISTER with longer ones gets 400. A User-Agent is cut to 128 bytes before.
	MaxBindingSize int

	// Extensions are the option tags besides path that a REGISTER may Require, because the caller takes care of them. With others
	// it gets 420.
	Extensions []string

	// RetryAfter is when clients are to come back that the Store has no room for, whole seconds; 0 means a minute.
	RetryAfter time.Duration

	// OnChange is called with each change that a REGISTER has made, after the Store has taken it and before Answer returns, with
	// no lock held. Events of REGISTERs that are answered at the same time may come in another order than the Store took them.
	// Its bindings' texts may be parts of the REGISTER's: Clone one that is kept for long. For bindings that expire see [MemoryStore.OnExpire].
	OnChange func(Event)

	date atomic.Pointer[date]
}

// Answer answers req, which came on from: 200 with all bindings, or why not. It returns an error only if the Store failed, which
// is a 500 and never an empty list; what makes it fail is not for the client to read.
//
// It answers as RFC 3261 section 10.3 says from step 5 on, and step 2. Whether the Request-URI is for this registrar (step 1),
// who the client is (3) and what it may do (4) has been decided by who calls. A retransmission changes nothing and is answered
// 200 again, so that no transaction has to remember each REGISTER.
func (r *Registrar) Answer(ctx context.Context, req *sip.Message, from transport.Flow) (*sip.Response, error) {
	now := time.Now().Truncate(time.Millisecond) // what a Store keeps
	reg, refused := r.read(req, from, now)
	if refused != nil {
		return refused.response(), nil
	}
	bindings, err := r.perform(ctx, reg)
	switch {
	case err == nil:
		return r.ok(req, reg, bindings), nil
	case errors.As(err, &refused):
		return refused.response(), nil
	case errors.Is(err, ErrFull):
		return r.full().response(), nil
	}
	return nil, fmt.Errorf("registrar: bindings of %q: %w", reg.aor, err)
}

// Lookup returns the bindings of an address of record in the order in which they are to be tried: highest q first, of equal q the one
// registered last; [ByQ] groups them. None is not an error. How to reach one is in its Flow and Path; what its Request-URI is, in its
// Contact. Parameters of aor do not matter.
func (r *Registrar) Lookup(ctx context.Context, aor sip.URI) ([]Binding, error) {
	if r.Store == nil {
		return nil, errNoStore
	}
	key := aor.AOR()
	bindings, err := r.Store.Lookup(ctx, key, nil)
	if err != nil {
		return nil, fmt.Errorf("registrar: bindings of %q: %w", key, err)
	}
	return bindings, nil
}

// perform does what reg asks for and returns the bindings that there are then.
func (r *Registrar) perform(ctx context.Context, reg *registration) (bindings []Binding, err error) {
	if r.Store == nil {
		return nil, errNoStore
	}
	if reg.fetches() {
		return r.Store.Lookup(ctx, reg.aor, nil)
	}
	var result struct { // of the last run
		bindings []Binding
		events   []Event
	}
	err = r.Store.Update(ctx, reg.aor, func(old []Binding) (_ []Binding, err error) {
		result.bindings, result.events, err = reg.apply(old, r.OnChange != nil)
		return result.bindings, err
	})
	if err != nil {
		return nil, err
	}
	for _, e := range result.events {
		r.OnChange(e)
	}
	return result.bindings, nil
}

// ok is step 8.
func (r *Registrar) ok(req *sip.Message, reg *registration, bindings []Binding) *sip.Response {
	res := sip.NewResponse(sip.StatusOK)
	if len(bindings) > 0 {
		var buf [1024]byte // room for a few, on the stack
		b := buf[:0]
		for i := range bindings {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = bindings[i].appendContact(b, reg.now)
		}
		res.Set(sip.Contact, string(b))
	}
	// RFC 3327 section 5.3 has the registrar copy the Path into the 200. A client that does not support it has no use for it.
	if reg.path != "" && req.HasOption(sip.Supported, "path") {
		res.Set(sip.Path, reg.path)
	}
	res.Set(sip.Date, r.dateText(reg.now))
	return res
}

// appendContact writes b as a Contact of the 200: "Each Contact value MUST feature an "expires" parameter". Without q it is 1.0, as
// in requests. The instance is what a client knows its own binding by behind a changed address.
func (b *Binding) appendContact(p []byte, now time.Time) []byte {
	p = append(p, '<')
	p = append(p, b.Contact...)
	p = append(p, '>')
	if b.Q < MaxQ {
		p = appendQ(append(p, ";q="...), b.Q)
	}
	p = append(p, ";expires="...)
	p = strconv.AppendInt(p, b.Remaining(now), 10)
	if b.Instance != "" {
		p = append(p, `;+sip.instance="`...)
		p = append(p, b.Instance...)
		p = append(p, '"')
	}
	return p
}

// appendQ writes a q below 1.0, with no more decimals than it has.
func appendQ(p []byte, q uint16) []byte {
	p = append(p, '0')
	if q > 0 {
		p = append(p, '.')
	}
	for ; q > 0; q = q % 100 * 10 {
		p = append(p, '0'+byte(q/100))
	}
	return p
}

// full is the answer of a registrar whose store has no room.
func (r *Registrar) full() *refusal {
	seconds := setting(r.RetryAfter, time.Minute, 0) / time.Second
	return &refusal{status: sip.StatusServiceUnavailable, header: sip.RetryAfter, text: strconv.FormatInt(int64(seconds), 10)}
}

// date is a second and its text.
type date struct {
	second int64
	text   string
}

// dateText returns now as a Date (RFC 3261 section 20.17), made once in a second.
func (r *Registrar) dateText(now time.Time) string {
	d := r.date.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
		r.date.Store(d)
	}
	return d.text
}

var errNoStore = errors.New("registrar: no Store")

// setting returns v, what stands for 0, or what stands for a negative v.
func setting[T int | time.Duration](v, zero, negative T) T {
	switch {
	case v == 0:
		return zero
	case v < 0:
		return negative
	}
	return v
}

// noBound is larger than any text or list can get, and no overflow when doubled.
const noBound = 1 << 30

func (r *Registrar) maxContacts() int    { return setting(r.MaxContacts, 10, noBound) }
func (r *Registrar) maxBindingSize() int { return setting(r.MaxBindingSize, 2048, noBound) }

// The intervals in seconds, as they stand in messages.

func (r *Registrar) minExpires() uint32 {
	return min(seconds(setting(r.MinExpires, time.Minute, 0)), r.maxExpires())
}

func (r *Registrar) maxExpires() uint32 {
	return seconds(setting(r.MaxExpires, 24*time.Hour, (1<<32-1)*time.Second))
}

func (r *Registrar) defaultExpires() uint32 {
	return seconds(setting(r.DefaultExpires, time.Hour, time.Hour))
}

// seconds rounds up: less than a second is not none.
func seconds(d time.Duration) uint32 {
	return uint32(min((d+time.Second-1)/time.Second, 1<<32-1))
}
