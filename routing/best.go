package routing

import "github.com/goser-project/goser/sip"

// consider keeps c if it is better than what was kept (RFC 3261 16.7 step 6).
func (rc *responseContext) consider(c candidate) {
	if rc.best.status == 0 || rank(c, rc.callerOff) < rank(rc.best, rc.callerOff) {
		rc.best = c
	}
}

// rank orders final responses, the best lowest. A 6xx wins over all; then the
// lowest class; within 4xx those that tell the caller how to try again come
// first. An outcome made here never outranks a response that a target really
// gave, except that of the engine's own checks, which is the only one there is.
func rank(c candidate, cancelled bool) int {
	if c.message == nil {
		return 10000 + c.status
	}
	switch class := c.status / 100; {
	case c.status == sip.StatusRequestTerminated && cancelled:
		return 0 // what the caller asked for
	case class == 6:
		return 1000 + c.status
	case class == 4:
		switch c.status {
		case 401, 407, 415, 420, 484: // named by 16.7 step 6
			return 4000 + c.status
		}
		return 4500 + c.status
	case c.status == sip.StatusServiceUnavailable:
		return 5999 // says least
	default:
		return class*1000 + c.status
	}
}
