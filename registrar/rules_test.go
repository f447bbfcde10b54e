package registrar

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// RFC 3261 section 10.3: "A registrar handles requests according to Section 8.2 and Section 17.2, but it accepts only REGISTER
// requests." Section 8.2.1: "it MUST generate a 405 (Method Not Allowed) response. […] The UAS MUST also add an Allow header field to
// the 405 (Method Not Allowed) response."
func TestOnlyRegister(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		text := strings.ReplaceAll(registerText(bob, "c", 1, "Contact: <sip:bob@192.0.2.4>"), "REGISTER", "OPTIONS")
		a := p.send(parse(t, text)).refused(sip.StatusMethodNotAllowed)
		require.Equal(t, "REGISTER", a.Get(sip.Allow))
		p.has()
	})
}

// RFC 3261 section 10.3: "Registrars MUST ignore the Record-Route header field if it is included in a REGISTER request.
// Registrars MUST NOT include a Record-Route header field in any response to a REGISTER request."
func TestIgnoresRecordRoute(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		a := p.register("Record-Route: <sip:p1.example.org;lr>", "Contact: <sip:bob@192.0.2.4>")
		require.False(t, a.lists("<sip:bob@192.0.2.4>;expires=3600").Has(sip.RecordRoute))
	})
}

// RFC 3261 section 8.2.2.3: "If a UAS does not understand an option-tag listed in a Require header field, it MUST respond by
// generating a response with status code 420 (Bad Extension). The UAS MUST add an Unsupported header field, and list in it those
// options it does not understand amongst those in the Require header field of the request."
func TestRequire(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.reg.Extensions = []string{"sec-agree"}
		a := p.register("Require: path, nothingSupportsThis, sec-agree", "Require: 100rel", "Contact: <sip:bob@192.0.2.4>")
		require.Equal(t, "nothingSupportsThis, 100rel", a.refused(sip.StatusBadExtension).Get(sip.Unsupported))
		p.has()
		p.register("Require: Path, sec-agree", "Contact: <sip:bob@192.0.2.4>").lists("<sip:bob@192.0.2.4>;expires=3600")
	})
}

// RFC 3261 section 10.3 step 5: "If the address-of-record is not valid for the domain in the Request-URI, the registrar MUST send
// a 404 (Not Found) response and skip the remaining steps."
func TestDomains(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.reg.Domains = func(host string) bool { return strings.EqualFold(host, "example.org") }
		p.to = "<sip:bob@example.net>"
		p.register("Contact: <sip:bob@192.0.2.4>").refused(sip.StatusNotFound)
		p.to = "Bob <sips:bob@EXAMPLE.org:5061>;x=y"
		p.register("Contact: <sips:bob@192.0.2.4>").lists("<sips:bob@192.0.2.4>;expires=3600")
	})
}

// RFC 3261 section 10.3 step 5: "The URI MUST then be converted to a canonical form. To do that, all URI parameters MUST be removed
// (including the user-param), and any escaped characters MUST be converted to their unescaped form. The result serves as an index
// into the list of bindings."
func TestCanonicalAOR(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.to = `"Bob" <sip:%62ob@EXAMPLE.org;user=phone;x>`
		p.register("Contact: <sip:bob@192.0.2.4>").lists("<sip:bob@192.0.2.4>;expires=3600")
		for _, same := range []string{bob, "sip:bob@example.org;tag=1", "<sip:b%6Fb@example.org;transport=tcp>"} {
			p.to = same
			p.has("<sip:bob@192.0.2.4>;expires=3600")
		}
		for _, other := range []string{"<sip:Bob@example.org>", "<sip:bob@example.net>", "<sip:example.org>"} {
			p.to = other
			p.has()
		}
	})
}

// RFC 4475 section 3.3.4 (unksm2): "A registrar would reject this request with a 400 Bad Request response, since the To: header
// field is required to contain a SIP or SIPS URI as an AOR."
func TestAORMustBeSIP(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		for _, p.to = range []string{"isbn:2983792873", "<tel:+12125551212>", "<mailto:bob@example.org>"} {
			p.register("Contact: <name:John_Smith>").refused(sip.StatusBadRequest)
		}
	})
}

// RFC 3261 section 10.3 step 6: "If the request has additional Contact fields or an expiration time other than zero, the request
// is invalid, and the server MUST return a 400 (Invalid Request) and skip the remaining steps." Section 10.2.2: "it MUST NOT be
// used unless the Expires header field is present with a value of "0"."
func TestStarIsAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:bob@192.0.2.4>")
		for _, lines := range [][]string{
			{"Contact: *"},
			{"Contact: *", "Expires: 1"},
			{"Contact: *", "Expires: 3600"},
			{"Contact: *", "Expires: zero"},
			{"Contact: *, <sip:bob@192.0.2.5>", "Expires: 0"},
			{"Contact: <sip:bob@192.0.2.5>", "Contact: *", "Expires: 0"},
			{"Contact: *", "Contact: *", "Expires: 0"},
			{"Contact: *;expires=0"},
			{"Contact: <*>", "Expires: 0"},
		} {
			p.register(lines...).refused(sip.StatusBadRequest)
		}
		p.has("<sip:bob@192.0.2.4>;expires=3600")
		p.register("Contact: *", "Expires: 0").lists()
		p.has()
	})
}

// RFC 3261 section 10.3 step 6: "If not, the registrar checks whether the Call-ID agrees with the value stored for each binding.
// If not, it MUST remove the binding. If it does agree, it MUST remove the binding only if the CSeq in the request is higher than
// the value stored for that binding. Otherwise, the update MUST be aborted and the request fails."
func TestStarKeepsOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.cseq = 10
		late, same := p.repeat("Contact: *", "Expires: 0"), parse(t, registerText(bob, p.callID, 11, "Contact: *", "Expires: 0"))
		p.register("Contact: <sip:bob@192.0.2.4>")
		p.another("other").register("Contact: <sip:bob@192.0.2.5>")
		for _, req := range []*sip.Message{late, same} {
			p.send(req).refused(sip.StatusServerInternalError)
			p.has("<sip:bob@192.0.2.4>;expires=3600", "<sip:bob@192.0.2.5>;expires=3600")
		}
		p.register("Contact: *", "Expires: 0").lists()
		p.register("Contact: *", "Expires: 0").lists() // nothing is left to disagree
	})
}

// RFC 3261 section 10.3 step 7: "If the field value has an "expires" parameter, that value MUST be taken as the requested
// expiration. If there is no such parameter, but the request has an Expires header field, that value MUST be taken as the
// requested expiration. If there is neither, a locally-configured default value MUST be taken as the requested expiration."
func TestRequestedExpiration(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.reg.DefaultExpires = 1800 * time.Second
		p.register("Contact: <sip:a@192.0.2.4>;expires=100, <sip:b@192.0.2.4>", "Contact: <sip:c@192.0.2.4>;EXPIRES=300", "Expires: 200").
			lists("<sip:a@192.0.2.4>;expires=100", "<sip:b@192.0.2.4>;expires=200", "<sip:c@192.0.2.4>;expires=300")
		p.register("Contact: *", "Expires: 0")
		p.register("Contact: <sip:a@192.0.2.4>").lists("<sip:a@192.0.2.4>;expires=1800")
	})
}

// RFC 3261 section 10.2: "Implementations MAY treat values larger than 2**32-1 (4294967295 seconds or 136 years) as equivalent to
// 2**32-1. Malformed values SHOULD be treated as equivalent to 3600."
func TestMalformedExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.reg.MaxExpires, p.reg.DefaultExpires = -1, 1800*time.Second
		for text, want := range map[string]string{
			"4294967295": "4294967295", "4294967296": "4294967295", "280297596632815": "4294967295", "18446744073709551616": "4294967295",
			"1" + strings.Repeat("0", 100): "4294967295", "00100": "100", `"100"`: "100",
			"-1": "3600", "1.5": "3600", "soon": "3600", "0x10": "3600", `""`: "3600", `"1 0"`: "3600",
		} {
			p.register("Contact: <sip:a@192.0.2.4>;expires=" + text).lists("<sip:a@192.0.2.4>;expires=" + want)
			if text[0] != '"' {
				p.register("Contact: <sip:a@192.0.2.4>", "Expires: "+text).lists("<sip:a@192.0.2.4>;expires=" + want)
			}
		}
		p.register("Contact: <sip:a@192.0.2.4>;expires").lists("<sip:a@192.0.2.4>;expires=3600")
	})
}

// RFC 3261 section 10.3 step 7: "If and only if the requested expiration interval is greater than zero AND smaller than one hour
// AND less than a registrar-configured minimum, the registrar MAY reject the registration with a response of 423 (Interval Too
// Brief). This response MUST contain a Min-Expires header field that states the minimum expiration interval the registrar is
// willing to honor."
func TestIntervalTooBrief(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:b@192.0.2.4>;expires=60").lists("<sip:b@192.0.2.4>;expires=60")
		require.Equal(t, "60", p.register("Contact: <sip:a@192.0.2.4>, <sip:b@192.0.2.4>;expires=59").
			refused(sip.StatusIntervalTooBrief).Get(sip.MinExpires))
		require.Equal(t, "60", p.register("Contact: <sip:a@192.0.2.4>", "Expires: 1").
			refused(sip.StatusIntervalTooBrief).Get(sip.MinExpires))
		p.has("<sip:b@192.0.2.4>;expires=60")
		p.register("Contact: <sip:b@192.0.2.4>;expires=0").lists()

		p.reg.MinExpires = 2 * time.Hour
		require.Equal(t, "7200", p.register("Contact: <sip:a@192.0.2.4>;expires=3599").
			refused(sip.StatusIntervalTooBrief).Get(sip.MinExpires))
		p.register("Contact: <sip:a@192.0.2.4>;expires=3600").lists("<sip:a@192.0.2.4>;expires=3600")
		p.register("Contact: <sip:a@192.0.2.4>").lists("<sip:a@192.0.2.4>;expires=7200") // the server's own choice

		p.reg.MinExpires = -1
		p.register("Contact: <sip:a@192.0.2.4>;expires=1").lists("<sip:a@192.0.2.4>;expires=1")
	})
}

// RFC 3261 section 10.3 step 7: "The registrar MAY choose an expiration less than the requested expiration interval."
func TestMaxExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:a@192.0.2.4>;expires=100000").lists("<sip:a@192.0.2.4>;expires=86400")
		p.reg.MaxExpires = 600 * time.Second
		p.register("Contact: <sip:a@192.0.2.4>").lists("<sip:a@192.0.2.4>;expires=600")
		p.register("Contact: <sip:a@192.0.2.4>;expires=100").lists("<sip:a@192.0.2.4>;expires=100")
		p.reg.MaxExpires = 30 * time.Second // below the minimum, which it then is
		p.register("Contact: <sip:a@192.0.2.4>;expires=40").lists("<sip:a@192.0.2.4>;expires=30")
		require.Equal(t, "30", p.register("Contact: <sip:a@192.0.2.4>;expires=29").refused(423).Get(sip.MinExpires))
	})
}

// RFC 3261 section 10.3 step 7: "For each address, the registrar then searches the list of current bindings using the URI comparison
// rules." The pairs are those of section 19.1.4.
func TestURIComparison(t *testing.T) {
	for _, test := range []struct {
		first, second string
		same          bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},
		{"sip:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@192.0.2.4", "sips:bob@192.0.2.4", false},
		{"tel:+1-212-555-1212", "tel:+12125551212", true},
		{"mailto:watson@example.com", "mailto:Watson@example.com", false},
	} {
		inBubble(t, func(t *testing.T, p *phone) {
			p.register("Contact: <" + test.first + ">")
			want := []string{"<" + test.second + ">;expires=3600"}
			if !test.same {
				want = append([]string{"<" + test.first + ">;expires=3600"}, want...)
			}
			p.register("Contact: <" + test.second + ">").lists(want...)
			p.register("Contact: <"+test.first+">;expires=0", "Contact: <"+test.second+">;expires=0").lists()
		})
	}
}

// RFC 3261 section 19.1.4: "Note that equality is not transitive: sip:carol@chicago.com and sip:carol@chicago.com;security=on are
// equivalent, sip:carol@chicago.com and sip:carol@chicago.com;security=off are equivalent, sip:carol@chicago.com;security=on and
// sip:carol@chicago.com;security=off are not equivalent". Of several equal bindings the one with the same text is meant.
func TestEqualityIsNotTransitive(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:c@192.0.2.4;security=on>, <sip:c@192.0.2.4;security=off>").
			lists("<sip:c@192.0.2.4;security=on>;expires=3600", "<sip:c@192.0.2.4;security=off>;expires=3600")
		p.register("Contact: <sip:c@192.0.2.4;security=off>;expires=600").
			lists("<sip:c@192.0.2.4;security=on>;expires=3600", "<sip:c@192.0.2.4;security=off>;expires=600")
		p.register("Contact: <sip:c@192.0.2.4>;expires=900").
			lists("<sip:c@192.0.2.4>;expires=900", "<sip:c@192.0.2.4;security=off>;expires=600")
		p.register("Contact: <sip:c@192.0.2.4;security=off>;expires=0").lists("<sip:c@192.0.2.4>;expires=900")
	})
}

// RFC 3261 section 10.3 step 7: "If the Call-ID value in the existing binding differs from the Call-ID value in the request, the
// binding MUST be removed if the expiration time is zero and updated otherwise."
func TestOtherCallID(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.cseq = 1000
		p.register("Contact: <sip:bob@192.0.2.4>")
		rebooted := p.another("rebooted")
		rebooted.register("Contact: <sip:bob@192.0.2.4>;expires=900").lists("<sip:bob@192.0.2.4>;expires=900")
		require.Equal(t, "rebooted", p.bindings()[0].CallID)
		require.EqualValues(t, 1, p.bindings()[0].CSeq)
		p.another("third").register("Contact: <sip:bob@192.0.2.4>;expires=0").lists()
	})
}

// RFC 3261 section 10.3 step 7: "If they are the same, the registrar compares the CSeq value. If the value is higher than that of the
// existing binding, it MUST update or remove the binding as above. If not, the update MUST be aborted and the request fails." A
// +sip.instance makes no difference.
func TestSameCallID(t *testing.T) {
	for _, params := range []string{"", `;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";reg-id=1`} {
		inBubble(t, func(t *testing.T, p *phone) {
			p.cseq = 6
			late := p.message("Contact: <sip:bob@192.0.2.4>;expires=500" + params)
			lateRemoval := p.repeat("Contact: <sip:bob@192.0.2.4>;expires=0" + params)
			p.register("Contact: <sip:bob@192.0.2.4>" + params)
			for _, req := range []*sip.Message{
				late, lateRemoval,
				p.repeat("Contact: <sip:bob@192.0.2.4>;expires=0" + params),
			} {
				p.send(req).refused(sip.StatusServerInternalError)
				require.EqualValues(t, 8, p.bindings()[0].CSeq)
				require.Equal(t, time.Hour, time.Until(p.bindings()[0].Expires))
			}
			// Without transactions a retransmission comes here: it changes nothing and is no error (8.2.7).
			time.Sleep(time.Second)
			require.Equal(t, 200, p.send(p.repeat("Contact: <sip:bob@192.0.2.4>"+params)).Status())
			require.Equal(t, time.Hour-time.Second, time.Until(p.bindings()[0].Expires))
			p.register("Contact: <sip:bob@192.0.2.4>;expires=500" + params)
			require.Equal(t, 500*time.Second, time.Until(p.bindings()[0].Expires))
			p.register("Contact: <sip:bob@192.0.2.4>;expires=0" + params).lists()
		})
	}
}

// RFC 3261 section 10.3: "REGISTER requests MUST also be processed atomically, meaning that a particular REGISTER request is
// either processed completely or not at all." Step 7: "The binding updates MUST be committed […] if and only if all binding
// updates and additions succeed."
func TestAllOrNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.cseq = 5
		p.register("Contact: <sip:a@192.0.2.4>, <sip:b@192.0.2.4>;q=0.5")
		p.another("other").register("Contact: <sip:a@192.0.2.4>;expires=1000")
		want := []string{"<sip:a@192.0.2.4>;expires=1000", "<sip:b@192.0.2.4>;q=0.5;expires=3600"}
		p.has(want...)
		// For a this would be in order, for the new c too, for b it is not.
		p.cseq-- // so that the next one is earlier
		p.send(p.repeat("Contact: <sip:a@192.0.2.4>;expires=0, <sip:c@192.0.2.4>, <sip:b@192.0.2.4>")).refused(500)
		p.cseq++
		p.has(want...)
		p.register("Contact: <sip:a@192.0.2.4>;expires=0, <sip:c@192.0.2.4>;q=2, <sip:b@192.0.2.4>").refused(400)
		p.register("Contact: <sip:a@192.0.2.4>;expires=0, <sip:c@192.0.2.4>;expires=9").refused(423)
		p.register("Contact: <sip:a@192.0.2.4>;expires=0, <sip:c@192.0.2.4").refused(400)
		p.has(want...)
	})
}

// RFC 3261 section 10.3 step 8: "The response MUST contain Contact header field values enumerating all current bindings. Each Contact
// value MUST feature an "expires" parameter indicating its expiration interval chosen by the registrar. The response SHOULD include a
// Date header field."
func TestListsAllBindings(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		a := p.register(`Contact: "Bob" <sip:bob@192.0.2.4>;audio;q=0.25`).lists("<sip:bob@192.0.2.4>;q=0.25;expires=3600")
		require.Equal(t, "Sat, 01 Jan 2000 00:00:00 GMT", a.Get(sip.Date))
		wait(10*time.Second + 300*time.Millisecond)
		a = p.another("other").register("Contact: <sips:bob@192.0.2.5>;expires=60").
			lists("<sips:bob@192.0.2.5>;expires=60", "<sip:bob@192.0.2.4>;q=0.25;expires=3590") // 3589.7 s
		require.Equal(t, "Sat, 01 Jan 2000 00:00:10 GMT", a.Get(sip.Date))
		wait(59*time.Second + 999*time.Millisecond)
		p.has("<sips:bob@192.0.2.5>;expires=1", "<sip:bob@192.0.2.4>;q=0.25;expires=3530") // never 0
		wait(time.Millisecond)
		p.has("<sip:bob@192.0.2.4>;q=0.25;expires=3530")
		require.Empty(t, p.another("x").register("Contact: *", "Expires: 0").lists().Get(sip.Contact))
	})
}

// RFC 3261 section 10.2.3: "If no Contact header field is present in a REGISTER request, the list of bindings is left unchanged."
func TestFetch(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:bob@192.0.2.4>")
		before := p.bindings()
		p.register("Expires: 0").lists("<sip:bob@192.0.2.4>;expires=3600")
		require.Equal(t, before, p.bindings())
	})
}

// RFC 3261 section 10.2.2: "A UA requests the immediate removal of a binding by specifying an expiration interval of "0" for that
// contact address in a REGISTER request."
func TestRemoval(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:a@192.0.2.4>, <sip:b@192.0.2.4>, <sip:c@192.0.2.4>")
		p.register("Contact: <sip:b@192.0.2.4>;expires=0, <sip:never@192.0.2.4>;expires=0").
			lists("<sip:a@192.0.2.4>;expires=3600", "<sip:c@192.0.2.4>;expires=3600")
		p.register("Contact: <sip:a@192.0.2.4>", "Contact: <sip:c@192.0.2.4>;expires=60", "Expires: 0").
			lists("<sip:c@192.0.2.4>;expires=60")
	})
}

// RFC 3261 section 10.2.1: "The Contact header field values of the request typically consist of SIP or SIPS URIs […], but they
// MAY use any URI scheme."
func TestAnyScheme(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <tel:+12125551212>;q=0.3", "Contact: <mailto:bob@example.org>;q=0.2", "Contact: <urn:service:sos>;q=0.1").
			lists("<tel:+12125551212>;q=0.3;expires=3600", "<mailto:bob@example.org>;q=0.2;expires=3600", "<urn:service:sos>;q=0.1;expires=3600")
	})
}

// RFC 3261 section 10.2.1.2: "This list can be prioritized with the "q" parameter in the Contact header field." Section 25.1:
// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
func TestQ(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		for text, want := range map[string]string{
			"0": ";q=0", "0.": ";q=0", "0.0": ";q=0", "0.5": ";q=0.5", "0.05": ";q=0.05", "0.123": ";q=0.123", "0.100": ";q=0.1", "0.999": ";q=0.999",
			"0.001": ";q=0.001", "1": "", "1.": "", "1.0": "", "1.000": "",
		} {
			p.register("Contact: <sip:a@192.0.2.4>;q=" + text).lists("<sip:a@192.0.2.4>" + want + ";expires=3600")
		}
		for _, text := range []string{"2", "1.1", "1.001", "-0.5", "0.1234", "0.0000", ".5", "00.5", "0,5", "high", `""`, "0.5.5", "1e0", "0.x", "0x"} {
			p.register("Contact: <sip:a@192.0.2.4>;q=" + text).refused(sip.StatusBadRequest)
		}
		p.register("Contact: <sip:a@192.0.2.4>;q").refused(sip.StatusBadRequest)
	})
}

// RFC 3261 section 16.6: "Targets are processed from highest qvalue to lowest. Targets with equal qvalues may be processed in
// parallel."
func TestLookupOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:a@192.0.2.4>;q=0.5, <sip:b@192.0.2.4>, <sip:c@192.0.2.4>;q=0.1")
		wait(time.Second)
		p.another("2").register("Contact: <sip:d@192.0.2.4>;q=0.5, <sip:e@192.0.2.4>;q=0.5")
		wait(time.Second)
		p.another("3").register("Contact: <sip:f@192.0.2.4>;q=0.7")
		require.Equal(t, []string{"sip:b@192.0.2.4", "sip:f@192.0.2.4", "sip:d@192.0.2.4", "sip:e@192.0.2.4", "sip:a@192.0.2.4", "sip:c@192.0.2.4"},
			contacts(p.bindings()))
		wait(time.Second)
		p.register("Contact: <sip:a@192.0.2.4>;q=0.5") // the most recent one now
		var groups [][]string
		for group := range ByQ(p.bindings()) {
			groups = append(groups, contacts(group))
		}
		require.Equal(t, [][]string{
			{"sip:b@192.0.2.4"}, {"sip:f@192.0.2.4"}, {"sip:a@192.0.2.4", "sip:d@192.0.2.4", "sip:e@192.0.2.4"}, {"sip:c@192.0.2.4"},
		}, groups)
		for range ByQ(p.bindings()) {
			break // ends
		}
	})
}

// The same contact twice in one REGISTER counts as it stands last; it is not out of order with itself.
func TestSameContactTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:a@192.0.2.4>;q=0.1, <sip:%61@192.0.2.4>;q=0.2").lists("<sip:%61@192.0.2.4>;q=0.2;expires=3600")
		p.register("Contact: <sip:a@192.0.2.4>, <sip:a@192.0.2.4>;expires=0").lists()
		p.register("Contact: <sip:a@192.0.2.4>;expires=0, <sip:a@192.0.2.4>").lists("<sip:a@192.0.2.4>;expires=3600")
		p.register("Contact: <sip:a@192.0.2.4;security=on>, <sip:a@192.0.2.4;security=off>", "Contact: <sip:a@192.0.2.4>;expires=600").
			lists("<sip:a@192.0.2.4>;expires=600")
	})
}

// RFC 4475, messages in its section 3 that are REGISTERs and well-formed enough to be read.
func TestTorture(t *testing.T) {
	// 3.3.12 (cparam01): "The response must not include "unknownparam" as a url-parameter for this binding."
	t.Run("cparam01", func(t *testing.T) {
		inBubble(t, func(t *testing.T, p *phone) {
			p.register("Contact: sip:+19725552222@gw1.example.net;unknownparam").lists("<sip:+19725552222@gw1.example.net>;expires=3600")
		})
	})
	// 3.3.13 (cparam02): "a subsequent retrieval of the registration must include "unknownparam" as a url-parameter."
	t.Run("cparam02", func(t *testing.T) {
		inBubble(t, func(t *testing.T, p *phone) {
			p.register("Contact: <sip:+19725552222@gw1.example.net;unknownparam>")
			p.has("<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600")
		})
	})
	// 3.3.14 (regescrt): "The register should succeed, and a subsequent retrieval of the registration must include the escaped Route
	// header in the contact URI for this binding."
	t.Run("regescrt", func(t *testing.T) {
		inBubble(t, func(t *testing.T, p *phone) {
			p.register("M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>")
			p.has("<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600")
		})
	})
	// 3.1.1.4 (escnull): "Implementations must take special care when unescaping the Address-of-Record (AOR) in this request so
	// as to not prematurely shorten the username. This request registers two distinct contact URIs."
	t.Run("escnull", func(t *testing.T) {
		inBubble(t, func(t *testing.T, p *phone) {
			p.to = "sip:null-%00-null@example.com"
			p.register("Contact: <sip:%00@host5.example.com>", "Contact: <sip:%00%00@host5.example.com>").
				lists("<sip:%00@host5.example.com>;expires=3600", "<sip:%00%00@host5.example.com>;expires=3600")
			p.to = "sip:null-@example.com"
			p.has()
		})
	})
	// 3.1.2.13 (regbadct): "It is reasonable for an element receiving this request to respond with a 400 Bad Request."
	t.Run("regbadct", func(t *testing.T) {
		inBubble(t, func(t *testing.T, p *phone) {
			p.register("Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E").refused(sip.StatusBadRequest)
		})
	})
}
