package routing

import (
	"slices"
	"strings"

	"github.com/goser-project/goser/sip"
)

var defaultSchemes = [...]string{"sip", "sips", "tel", "urn"}

// validate is RFC 3261 16.3 without its steps 3 and 4: Max-Forwards and loops
// concern only requests that are forwarded, and are checked then. The parser
// has done most of step 1. It returns the refusal, or nil.
func (s *Server) validate(m *sip.Message) *sip.Response {
	if v, ok, err := m.Uint(sip.MaxForwards); err != nil || ok && v > 255 {
		return badRequest("Bad Max-Forwards")
	}
	scheme := m.RequestURI().Scheme
	if s.Schemes == nil && !slices.Contains(defaultSchemes[:], scheme) ||
		s.Schemes != nil && !slices.Contains(s.Schemes, scheme) {
		return sip.NewResponse(sip.StatusUnsupportedURIScheme)
	}
	if m.Has(sip.ProxyRequire) {
		if err := unsupported(m, sip.ProxyRequire, s.ProxyRequire); err != nil {
			return answerOf(err)
		}
	}
	if m.Has(sip.Route) {
		for a, err := range m.Addresses(sip.Route) {
			if err != nil || !a.URI.IsSIP() {
				return badRequest("Bad Route")
			}
		}
	}
	return nil
}

func badRequest(reason string) *sip.Response {
	res := sip.NewResponse(sip.StatusBadRequest)
	res.Reason = reason
	return res
}

// unsupported returns a 420 that names the option tags of a header field that
// are not supported, or nil.
func unsupported(m *sip.Message, header string, supported []string) error {
	var tags []string
	for tag := range m.Values(header) {
		known := slices.ContainsFunc(supported, func(s string) bool { return strings.EqualFold(s, tag) })
		if !known && tag != "" {
			tags = append(tags, tag)
		}
	}
	// RFC 3261 16.3 step 5 and 8.2.2.3: neither concerns ACK or CANCEL.
	if len(tags) == 0 || m.Method() == sip.ACK || m.Method() == sip.CANCEL {
		return nil
	}
	res := sip.NewResponse(sip.StatusBadExtension)
	res.Set(sip.Unsupported, strings.Join(tags, ", "))
	return Refuse(res)
}
