package siptest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Ladder is a call flow: who sent what to whom, when. It is a value: its methods that leave something out or show
// more return another one.
//
//	0.000  alice  -> proxy   INVITE
//	0.005  proxy  -> alice   100 (INVITE)
//	0.005  proxy  -x desk    INVITE
//
// The time is when it was sent, in seconds since the network was made. The arrow is -x if it was lost, for whatever
// reason, => if it arrived twice, and ~> if it was held back and may be overtaken.
type Ladder struct {
	events []Event
	fields []string
	missed int
}

// Ladder returns the call flow so far.
func (n *Network) Ladder() *Ladder {
	events := n.Events()
	n.mu.Lock()
	defer n.mu.Unlock()
	return &Ladder{events: events, missed: n.recorder.missed}
}

// Events returns the messages of the ladder, in its order.
func (l *Ladder) Events() []Event { return slices.Clone(l.events) }

// Filter leaves only the messages for which keep returns true.
func (l *Ladder) Filter(keep func(Event) bool) *Ladder {
	out := &Ladder{fields: l.fields, missed: l.missed}
	for _, e := range l.events {
		if keep(e) {
			out.events = append(out.events, e)
		}
	}
	return out
}

// Without leaves out what is named: "200 (INVITE)" that message, "OPTIONS" the requests and all their responses.
func (l *Ladder) Without(whats ...string) *Ladder {
	return l.Filter(func(e Event) bool {
		w := e.What()
		return !slices.ContainsFunc(whats, func(out string) bool { return w == out || strings.HasSuffix(w, "("+out+")") })
	})
}

// Only leaves what passes between the named hosts: with one name everything that it sends and receives, with more
// what they send to each other.
func (l *Ladder) Only(hosts ...string) *Ladder {
	return l.Filter(func(e Event) bool {
		from, to := slices.Contains(hosts, e.From), slices.Contains(hosts, e.To)
		return from && to || len(hosts) == 1 && (from || to)
	})
}

// Since leaves out what was sent earlier than this after the network was made.
func (l *Ladder) Since(start time.Duration) *Ladder {
	return l.Filter(func(e Event) bool { return e.Time >= start })
}

// With shows header fields too, in this order, where a message has them: "Route" prints as
// Route: <sip:10.0.0.2;lr>. "Request-URI" and "Body" show these; "Transport", "Source" and "Destination" are those of
// the network: UDP or TCP, and addresses.
func (l *Ladder) With(fields ...string) *Ladder {
	return &Ladder{events: l.events, fields: append(slices.Clone(l.fields), fields...), missed: l.missed}
}

// What returns the short name of the message; see the function What.
func (e Event) What() string { return What(e.Data) }

func (e Event) transport() string {
	if e.Stream {
		return "TCP"
	}
	return "UDP"
}

// String prints the ladder, a line per message.
func (l *Ladder) String() string {
	var b strings.Builder
	for _, line := range l.lines() {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// tail prints the end of the ladder, for those who want to know what led to something.
func (l *Ladder) tail() string {
	const most = 100
	lines := l.lines()
	if len(lines) <= most {
		return l.String()
	}
	return fmt.Sprintf("... %d before\n%s\n", len(lines)-most, strings.Join(lines[len(lines)-most:], "\n"))
}

func (l *Ladder) lines() []string {
	var from, to int
	for _, e := range l.events {
		from, to = max(from, len(e.From)), max(to, len(e.To))
	}
	lines := make([]string, 0, len(l.events)+1)
	for _, e := range l.events {
		ms := e.Time.Milliseconds()
		line := fmt.Sprintf("%3d.%03d  %-*s  %s %-*s   %s", ms/1000, ms%1000, from, e.From, e.Fate.arrow(), to, e.To, e.What())
		lines = append(lines, line+l.shown(e))
	}
	if l.missed > 0 {
		lines = append(lines, fmt.Sprintf("... and %d more that were not recorded", l.missed))
	}
	return lines
}

// shown returns the fields of a message that the ladder shows.
func (l *Ladder) shown(e Event) string {
	var b strings.Builder
	text := string(e.Data)
	for _, f := range l.fields {
		switch f {
		case "Request-URI":
			if uri := requestURI(text); uri != "" {
				b.WriteString("  " + uri)
			}
		case "Body":
			if _, body, _ := strings.Cut(text, "\r\n\r\n"); body != "" {
				fmt.Fprintf(&b, "  %q", body)
			}
		case "Transport":
			b.WriteString("  " + e.transport())
		case "Source":
			fmt.Fprintf(&b, "  from %v", e.Source)
		case "Destination":
			fmt.Fprintf(&b, "  to %v", e.Destination)
		default:
			for v := range fieldLines(text, f) {
				fmt.Fprintf(&b, "  %s: %s", f, v)
			}
		}
	}
	return b.String()
}

// Require fails the test if the ladder is not the golden one, and prints the whole flow with the differences: lines
// that are missing with -, lines that should not be there with +. Indentation, the width of columns, empty lines and
// lines that begin with # do not matter.
func (l *Ladder) Require(t testing.TB, golden string) {
	t.Helper()
	if diff := l.Diff(golden); diff != "" {
		t.Fatalf("the call flow is another one (- expected, + got):\n%s", diff)
	}
}

// Diff returns the differences to the golden ladder as Require prints them, "" if there are none.
func (l *Ladder) Diff(golden string) string {
	var want []string
	for line := range strings.Lines(golden) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			want = append(want, line)
		}
	}
	return diff(want, l.lines())
}
