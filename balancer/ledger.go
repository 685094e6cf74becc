package balancer

import "slices"

// ledger keeps the phase of the backends of a pool from rotation to rotation: how far each is behind
// (positive) or ahead of its share, in 1/onePick. A backend that is not eligible for a while keeps
// its entry.
type ledger struct {
	rotation *rotation
	owed     map[*Backend]int64 // nil: nothing has been picked in turn yet
}

// rotate returns the rotation of members, all of them eligible, by their effective weights, and the
// largest relative error of a share. If neither backends nor their slots differ it is the one that
// runs, and the sequence goes on. Otherwise the new one begins where each backend's phase is. Picks in flight on the old rotation
// at this moment are not accounted for.
func (l *ledger) rotate(members []Member, offset uint64) (*rotation, float64) {
	backends := make([]*Backend, len(members))
	weights := make([]float64, len(members))
	for i, m := range members {
		backends[i], weights[i] = m.Backend, m.Effective
	}
	slots, shareError := slotsOf(weights)
	r := l.rotation
	if r != nil && slices.Equal(r.backends, backends) && slices.Equal(r.slots, slots) {
		return r, shareError
	}
	if r != nil && r.cursor.Load() != r.start {
		l.close(r)
	}
	var credit []int64
	if l.owed != nil {
		credit = l.open(backends, slots)
	}
	l.rotation = newRotation(backends, slots, credit, offset)
	return l.rotation, shareError
}

// close enters what the backends of r are owed at its present place.
func (l *ledger) close(r *rotation) {
	if l.owed == nil {
		l.owed = make(map[*Backend]int64, len(r.backends))
	}
	place := int(r.cursor.Load() % uint64(len(r.cycle)))
	taken := make([]int64, len(r.backends))
	for _, i := range r.cycle[:place] {
		taken[i]++
	}
	for i, b := range r.backends {
		if b.Removed() {
			continue
		}
		ideal := onePick * int64(r.slots[i]) * int64(place) / int64(len(r.cycle))
		l.owed[b] = ideal - onePick*taken[i]
		if r.credit != nil {
			l.owed[b] += r.credit[i]
		}
	}
}

// open is the credit of each of backends in a new rotation. What those that are not in it were owed
// or owe is shared out in proportion to slots, so that the credits sum up to nothing.
func (l *ledger) open(backends []*Backend, slots []int) []int64 {
	credit := make([]int64, len(backends))
	var sum, length int64
	for i, b := range backends {
		credit[i] = l.owed[b]
		sum += l.owed[b]
		length += int64(slots[i])
	}
	for i, w := range slots {
		part := sum * int64(w) / length
		credit[i] -= part
		sum -= part
		length -= int64(w)
	}
	return credit
}

// forget drops the entry of a backend that has left the pool.
func (l *ledger) forget(b *Backend) { delete(l.owed, b) }
