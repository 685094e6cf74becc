package wire

// dues are connections by when they are due: a binary heap, the first one at its top. Those that come
// in the order in which they are due are added without moving any.
type dues []*arrival

// first is the one that is due first; nil: none is.
func (d dues) first() *arrival {
	if len(d) == 0 {
		return nil
	}
	return d[0]
}

// add takes w in, unless it is never due.
func (d *dues) add(w *arrival) {
	if w.due == 0 {
		return
	}
	w.place = len(*d)
	*d = append(*d, w)
	d.up(w.place)
}

// remove takes w out again.
func (d *dues) remove(w *arrival) {
	if w.due == 0 {
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
}

func (d dues) put(w *arrival, at int) { d[at], w.place = w, at }

func (d dues) up(at int) {
	w := d[at]
	for at > 0 && d[(at-1)/2].due > w.due {
		d.put(d[(at-1)/2], at)
		at = (at - 1) / 2
	}
	d.put(w, at)
}

func (d dues) down(at int) {
	w := d[at]
	for {
		child := 2*at + 1
		if child+1 < len(d) && d[child+1].due < d[child].due {
			child++
		}
		if child >= len(d) || d[child].due >= w.due {
			break
		}
		d.put(d[child], at)
		at = child
	}
	d.put(w, at)
}
