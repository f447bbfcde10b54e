//go:build interop

package interop

// What may come back for a torture message.
const (
	silence   = 0
	forwarded = 486 // the answer of the callee, whom only what was forwarded reaches
)

// tortureCase is what RFC 4475, RFC 5118 and the practice of other stacks allow for a message. The server is registrar and
// proxy for all domains in the messages, and all users there have a phone.
type tortureCase struct {
	udp    []int  // acceptable final responses
	tcp    []int  // over TCP, if others are acceptable there
	closed bool   // over TCP the server has to close the connection: the stream can no longer be framed
	field  string // a header field that the response has to have
}

func is(statuses ...int) tortureCase { return tortureCase{udp: statuses} }

func (c tortureCase) overTCP(statuses ...int) tortureCase {
	c.tcp = statuses
	return c
}

func (c tortureCase) closing() tortureCase {
	c.closed = true
	return c
}

func (c tortureCase) with(field string) tortureCase {
	c.field = field
	return c
}

// tortureCases has an entry for each file of sip/testdata/rfc4475 and rfc5118.
var tortureCases = map[string]tortureCase{
	// RFC 4475 3.1.1, valid messages. Responses that belong to nothing are dropped.
	"wsinv":      is(forwarded, 404, 481), // in a dialog that the server does not know, with a route through it
	"intmeth":    is(forwarded),
	"esc01":      is(forwarded),
	"escnull":    is(200),
	"esc02":      is(404, 405, 501), // the method is not REGISTER
	"lwsdisp":    is(forwarded),
	"longreq":    is(forwarded),
	"dblreq":     is(200).overTCP(200, 404, silence), // in a stream the trailing octets are the next request, and not a good one
	"semiuri":    is(forwarded),
	"transports": is(forwarded),
	"mpart01":    is(forwarded),
	"unreason":   is(silence),
	"noreason":   is(silence),

	// 3.1.2, invalid messages. Where a receiver may be liberal it may forward; the callee checks what.
	"badinv01":   is(400),
	"clerr":      is(400).overTCP(silence), // a stream waits for the rest
	"ncl":        is(400, silence).closing(),
	"scalar02":   is(400),
	"scalarlg":   is(silence),
	"quotbal":    is(400, forwarded),
	"ltgtruri":   is(400, forwarded),
	"lwsruri":    is(400, forwarded),
	"lwsstart":   is(400, forwarded),
	"trws":       is(400, forwarded),
	"escruri":    is(400, forwarded),
	"baddate":    is(400, forwarded),
	"regbadct":   is(400, 200),
	"badaspec":   is(400, forwarded),
	"baddn":      is(400, forwarded),
	"badvers":    is(505),
	"mismatch01": is(400),
	"mismatch02": is(501, 400),
	"bigcode":    is(silence),
	"test":       is(400, 505, silence), // not of the RFC: a request line without a version

	// 3.2, 3.3 and 3.4, transaction and application layer, RFC 2543.
	"badbranch": is(400, forwarded),
	"insuf":     is(400, silence),
	"unkscm":    is(416),
	"novelsc":   is(416, 404),
	"unksm2":    is(400),
	"bext01":    is(420).with("Unsupported"),
	"invut":     is(forwarded),
	"regaut01":  is(200),
	"multi01":   is(400),
	"mcl01":     is(400).overTCP(400, silence).closing(),
	"bcast":     is(silence),
	"zeromf":    is(483),
	"cparam01":  is(200),
	"cparam02":  is(200),
	"regescrt":  is(200),
	"sdp01":     is(forwarded),
	"inv2543":   is(forwarded).overTCP(400, silence).closing(), // no Content-Length

	// RFC 5118. Bodies that are longer than their Content-Length end a stream, perhaps before the response.
	"ipv6-good":                     is(200),
	"ipv6-bad":                      is(400),
	"port-ambiguous":                is(200),
	"port-unambiguous":              is(200),
	"via-received-param-with-delim": is(404, 481), // a BYE without a dialog
	"via-received-param-no-delim":   is(200),
	"ipv6-in-sdp":                   is(forwarded).overTCP(forwarded, silence),
	"mult-ip-in-header":             is(404, 481), // a BYE without a dialog
	"mult-ip-in-sdp":                is(forwarded).overTCP(forwarded, silence),
	"ipv4-mapped-ipv6":              is(forwarded).overTCP(forwarded, silence),
	"ipv6-bug-abnf-3-colons":        is(400, forwarded),
	"ipv6-correct-abnf-2-colons":    is(forwarded),
}

// tortureDomains are all that stand in the messages: none of them may be looked up, nothing may leave this host.
var tortureDomains = []string{
	"example.com", "example.net", "example.org", "company.com", "jasomi.com", "registrar.example.com", "services.example.com",
	"chair-dnrc.example.com", "host.example.net", "[2001:db8::10]", "[2001:db8::10:5070]", "[2001:db8::192.0.2.1]",
	"[2001:db8::c000:201]",
}

// tortureUsers are the users whom the messages ask for.
var tortureUsers = []string{
	"user@example.com", "UserB@example.com", "remote-target@example.com", "user@example.org", "t.watson@example.org",
	"kumiko@example.org", "user@company.com", "vivekg@chair-dnrc.example.com", "sips%3Auser%40example.com@example.net",
	"user;par=u%40example.net@example.com", "user@[2001:db8::10]", "user@[2001:db8::192.0.2.1]",
	"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com",
}
