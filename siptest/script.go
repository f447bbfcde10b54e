package siptest

import "time"

// Script is how a phone answers a request by itself: responses with pauses between them.
//
//	siptest.Respond(180).After(2 * time.Second).Respond(486)
//
// It is a value, and the zero value never answers. It ends with its final response, or with a CANCEL.
type Script struct{ steps []step }

type step struct {
	pause  time.Duration
	status int
	reason string
	edits  []Edit
}

// Respond begins a script with a response.
func Respond(status int, edits ...Edit) Script { return Script{}.Respond(status, edits...) }

// After begins a script with a pause.
func After(d time.Duration) Script { return Script{}.After(d) }

// Ignore is the script that never answers.
func Ignore() Script { return Script{} }

// Answer is the script of a phone that rings at once and is picked up after d.
func Answer(d time.Duration) Script { return Respond(180).After(d).Respond(200) }

// Respond adds a response to the script.
func (s Script) Respond(status int, edits ...Edit) Script {
	return s.with(step{status: status, edits: edits})
}

// RespondReason adds a response with a reason phrase of its own.
func (s Script) RespondReason(status int, reason string, edits ...Edit) Script {
	return s.with(step{status: status, reason: reason, edits: edits})
}

// After adds a pause to the script.
func (s Script) After(d time.Duration) Script { return s.with(step{pause: d}) }

func (s Script) with(next step) Script {
	return Script{append(s.steps[:len(s.steps):len(s.steps)], next)}
}

// play runs the rest of a script for a request. The lock is held.
func (s Script) play(in *Incoming) {
	for i, step := range s.steps {
		switch {
		case in.status >= 200:
			return
		case step.pause > 0:
			rest := Script{s.steps[i+1:]}
			in.script = in.phone.after(step.pause, func() { rest.play(in) })
			return
		case step.status > 0:
			in.respond(step.status, step.reason, step.edits)
		}
	}
}
