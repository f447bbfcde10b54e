package sip

// Method is a SIP method (RFC 3261 section 7.1). Methods are case-sensitive: "invite" is an extension method, not INVITE.
// A method that was parsed is one of the constants where it is known, so that it does not keep its message's text alive.
type Method string

// The methods of the IANA registry.
const (
	INVITE    Method = "INVITE"    // RFC 3261
	ACK       Method = "ACK"       // RFC 3261
	BYE       Method = "BYE"       // RFC 3261
	CANCEL    Method = "CANCEL"    // RFC 3261
	REGISTER  Method = "REGISTER"  // RFC 3261
	OPTIONS   Method = "OPTIONS"   // RFC 3261
	PRACK     Method = "PRACK"     // RFC 3262
	SUBSCRIBE Method = "SUBSCRIBE" // RFC 6665
	NOTIFY    Method = "NOTIFY"    // RFC 6665
	PUBLISH   Method = "PUBLISH"   // RFC 3903
	INFO      Method = "INFO"      // RFC 6086
	REFER     Method = "REFER"     // RFC 3515
	MESSAGE   Method = "MESSAGE"   // RFC 3428
	UPDATE    Method = "UPDATE"    // RFC 3311
)

// internMethod returns the constant equal to s, or s itself, which is not known.
func internMethod(s string) (m Method, known bool) {
	switch Method(s) {
	case INVITE:
		return INVITE, true
	case ACK:
		return ACK, true
	case BYE:
		return BYE, true
	case CANCEL:
		return CANCEL, true
	case REGISTER:
		return REGISTER, true
	case OPTIONS:
		return OPTIONS, true
	case PRACK:
		return PRACK, true
	case SUBSCRIBE:
		return SUBSCRIBE, true
	case NOTIFY:
		return NOTIFY, true
	case PUBLISH:
		return PUBLISH, true
	case INFO:
		return INFO, true
	case REFER:
		return REFER, true
	case MESSAGE:
		return MESSAGE, true
	case UPDATE:
		return UPDATE, true
	}
	return Method(s), false
}
