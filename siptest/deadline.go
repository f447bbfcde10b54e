package siptest

import (
	"sync"
	"time"
)

// deadline is a point in time at which the waiters of a condition are woken. Its fields are under the condition's
// lock.
type deadline struct {
	timer  *time.Timer
	passed bool
}

// set replaces the deadline; the zero time takes it back. The lock is held.
func (d *deadline) set(cond *sync.Cond, t time.Time) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		cond.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		cond.L.Lock()
		defer cond.L.Unlock()
		if d.timer == timer { // not replaced while this waited for the lock
			d.passed = true
			cond.Broadcast()
		}
	})
	d.timer = timer
}

// stop takes the deadline back. The lock is held.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
