package wire

import "time"

// due is when something is to be looked at.
type due struct {
	at    int64 // on Now's clock; 0: never
	place int   // among the dues; absent: it is not there
	of    any   // what is due
}

const absent = -1

// dues is a binary heap of what is due, the first one at its top. What comes in the order in which it is
// due is added without moving any.
type dues []*due

// first is the one that is due first; nil: none is.
func (d dues) first() *due {
	if len(d) == 0 {
		return nil
	}
	return d[0]
}

// add takes w in, unless it is never due.
func (d *dues) add(w *due) {
	if w.at == 0 {
		w.place = absent
		return
	}
	w.place = len(*d)
	*d = append(*d, w)
	d.up(w.place)
}

// remove takes w out again, if it is there.
func (d *dues) remove(w *due) {
	if w.place == absent {
		return
	}
	h, at := *d, w.place
	last := len(h) - 1
	h.put(h[last], at)
	h[last] = nil
	*d = h[:last]
	if at < last {
		moved := h[at]
		d.up(at)
		d.down(moved.place)
	}
	w.place = absent
}

func (d dues) put(w *due, at int) { d[at], w.place = w, at }

func (d dues) up(at int) {
	w := d[at]
	for at > 0 && d[(at-1)/2].at > w.at {
		d.put(d[(at-1)/2], at)
		at = (at - 1) / 2
	}
	d.put(w, at)
}

func (d dues) down(at int) {
	w := d[at]
	for {
		child := 2*at + 1
		if child+1 < len(d) && d[child+1].at < d[child].at {
			child++
		}
		if child >= len(d) || d[child].at >= w.at {
			break
		}
		d.put(d[child], at)
		at = child
	}
	d.put(w, at)
}

// alarmTick is how late, at most, an alarm rings that has rung just before.
const alarmTick = 20 * time.Millisecond

// alarm is dues with one timer for all. What is taken out in time leaves the timer alone, so it rings once
// for all that came within one time-out. A mutex of its owner guards it.
type alarm struct {
	dues    dues
	timer   *time.Timer
	ringing int64 // when the timer fires; 0: it does not
}

// onRing makes the alarm call f, in a goroutine of its own. It is called once, before all else.
func (a *alarm) onRing(f func()) {
	a.timer = time.AfterFunc(time.Hour, f)
	a.timer.Stop()
}

// add takes d in, unless it is never due.
func (a *alarm) add(d *due) {
	a.dues.add(d)
	if d.at != 0 && (a.ringing == 0 || d.at < a.ringing) {
		a.ring(d.at)
	}
}

// over takes out what is due, and sets the timer for the next.
func (a *alarm) over() (list []*due) {
	now := Now()
	for first := a.dues.first(); first != nil && first.at <= now; first = a.dues.first() {
		a.dues.remove(first)
		list = append(list, first)
	}
	a.ringing = 0
	if first := a.dues.first(); first != nil {
		a.ring(max(first.at, now+int64(alarmTick)))
	}
	return list
}

func (a *alarm) ring(at int64) {
	a.ringing = at
	a.timer.Reset(time.Duration(at - Now()))
}
