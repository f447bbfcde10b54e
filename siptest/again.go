package siptest

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/goser-project/goser/sip"
)

// Again sends the request once more as a new one: with the same Call-ID, From tag and body, the next CSeq and another
// branch, as after a challenge or a 423.
func (e *Exchange) Again(edits ...Edit) *Exchange {
	p := e.phone
	p.mu.Lock()
	defer p.release()
	return p.repeat(e, edits)
}

// repeat is Again. The lock is held.
func (p *Phone) repeat(e *Exchange, edits []Edit) *Exchange {
	seq := e.seq() + 1
	if e.dialog != nil {
		e.dialog.localSeq++
		seq = e.dialog.localSeq
	}
	if e.method == string(sip.REGISTER) {
		p.registers++
		seq = uint32(p.registers)
	}
	m, err := sip.Parse([]byte(e.text))
	if err != nil {
		p.t.Errorf("%s: %s cannot be sent again: %v", p, e.method, err)
		return e
	}
	var patch sip.Patch
	patch.ReplaceFirst(sip.Via, p.via(e.to, sip.Method(e.method)))
	patch.Set(sip.CSeq, fmt.Sprintf("%d %s", seq, e.method))
	for _, edit := range edits {
		edit(&patch)
	}
	if err := patch.Err(); err != nil {
		p.t.Errorf("%s: an edit is refused: %v", p, err)
	}
	return p.begin(e.method, string(sip.AppendMessage(nil, m, &patch)), e.to, e.dialog)
}

// seq returns the number of the request's CSeq.
func (e *Exchange) seq() uint32 {
	var n uint32
	fmt.Sscan(fieldOf(e.text, sip.CSeq), &n)
	return n
}

// Authorize answers the challenge of the latest 401 or 407 (RFC 3261 section 22, RFC 7616, RFC 8760): it sends the
// request Again with the credentials. It knows MD5 and SHA-256, with qop=auth and without, and takes the first
// challenge that it can answer.
func (e *Exchange) Authorize(username, password string, edits ...Edit) *Exchange {
	e.phone.t.Helper()
	name, value := e.credentials(username, password)
	if value == "" {
		e.phone.fatal("no challenge of %s can be answered", e.method)
	}
	return e.Again(append([]Edit{Header(name, value)}, edits...)...)
}

// credentials returns the header field that answers the latest challenge.
func (e *Exchange) credentials(username, password string) (name, value string) {
	e.phone.mu.Lock()
	final := e.final
	e.phone.mu.Unlock()
	if final == nil {
		return "", ""
	}
	challenge, name := sip.WWWAuthenticate, sip.Authorization
	if final.Status() == sip.StatusProxyAuthenticationRequired {
		challenge, name = sip.ProxyAuthenticate, sip.ProxyAuthorization
	}
	for line := range final.Lines(challenge) {
		if value := answer(line, e.method, requestURI(e.text), username, password); value != "" {
			return name, value
		}
	}
	return "", ""
}

// answer computes a digest response, "" if the challenge is of another kind.
func answer(challenge, method, uri, username, password string) string {
	scheme, rest, _ := strings.Cut(challenge, " ")
	if !strings.EqualFold(scheme, "Digest") {
		return ""
	}
	params := challengeParams(rest)
	var newHash func() hash.Hash
	switch strings.ToUpper(params["algorithm"]) {
	case "", "MD5":
		newHash = md5.New
	case "SHA-256":
		newHash = sha256.New
	default:
		return ""
	}
	h := func(parts ...string) string {
		sum := newHash()
		sum.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum.Sum(nil))
	}
	ha1, ha2 := h(username, params["realm"], password), h(method, uri)
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s"`, username, params["realm"], params["nonce"], uri)
	qops := strings.Split(strings.ReplaceAll(params["qop"], " ", ""), ",")
	switch {
	case params["qop"] == "":
		fmt.Fprintf(&b, `, response="%s"`, h(ha1, params["nonce"], ha2))
	case slices.Contains(qops, "auth"):
		const nc, cnonce = "00000001", "0a4f113b"
		fmt.Fprintf(&b, `, response="%s", qop=auth, nc=%s, cnonce="%s"`, h(ha1, params["nonce"], nc, cnonce, "auth", ha2), nc, cnonce)
	default:
		return ""
	}
	if a := params["algorithm"]; a != "" {
		fmt.Fprintf(&b, `, algorithm=%s`, a)
	}
	if o, ok := params["opaque"]; ok {
		fmt.Fprintf(&b, `, opaque="%s"`, o)
	}
	return b.String()
}

// challengeParams reads the parameters of a challenge, names in lower case.
func challengeParams(s string) map[string]string {
	params := map[string]string{}
	for s != "" {
		var name, value string
		name, s, _ = strings.Cut(s, "=")
		if s = strings.TrimLeft(s, " "); strings.HasPrefix(s, `"`) {
			value, s, _ = strings.Cut(s[1:], `"`)
			_, s, _ = strings.Cut(s, ",")
		} else {
			value, s, _ = strings.Cut(s, ",")
		}
		params[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	return params
}
