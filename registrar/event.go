package registrar

// EventKind says what happened to a binding.
type EventKind uint8

const (
	Registered EventKind = iota + 1 // a new contact
	Refreshed                       // a contact registered once more
	Removed                         // a contact unregistered, by itself or by "*"
	Expired                         // a contact that was not refreshed in time
)

// String returns "registered", "refreshed", "removed" or "expired".
func (k EventKind) String() string {
	switch k {
	case Registered:
		return "registered"
	case Refreshed:
		return "refreshed"
	case Removed:
		return "removed"
	case Expired:
		return "expired"
	}
	return "unknown"
}

// Event is a change of one binding.
type Event struct {
	Kind EventKind
	AOR  string
	// Binding is what it is now; of one that is gone, what it was.
	Binding Binding
}
