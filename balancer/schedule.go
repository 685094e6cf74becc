package balancer

// maxSlots is the most slots of a cycle.
const maxSlots = 1 << 16

// onePick is one pick in the fixed-point unit of a credit. A turn (at most 2^16) times onePick times
// the length of a cycle (at most 2^16) fits an int64.
const onePick = 1 << 24

// schedule lays out a cycle in which number i has turns[i] slots. Every entry of turns is at least
// 1 and their sum at most maxSlots. It solves Tijdeman's chairman assignment problem: turn j of i may
// not begin before the ideal count of i passes j-1 and should be over when that reaches j; of the
// turns that may have a slot, the one with the earliest deadline gets it. From zero credit no turn
// misses its deadline, so every prefix of the cycle is within one slot of the ideal.
//
// credit[i], in 1/onePick, is how far i is behind its ideal (positive) or ahead of it (negative) when
// the cycle begins; nil means that nobody is. Credits shift the windows and so the order. They do
// not change the counts of a whole cycle: who is ahead at its beginning is so at its end.
//
// The cost is O(len × log n): turns to come wait in lists by slot, turns that may run in a heap.
func schedule(turns []int, credit []int64) []uint16 {
	s := newScheduler(turns, credit)
	cycle := make([]uint16, len(s.releases))
	for slot := range cycle {
		s.release(slot)
		if len(s.ready) == 0 { // only credits can leave a slot without a claim
			s.releaseEarly(slot)
		}
		i := s.ready.pop()
		cycle[slot] = uint16(i)
		if s.given[i] < turns[i] {
			s.announce(i, slot+1)
		}
	}
	return cycle
}

// scheduler is the state of one run of schedule.
type scheduler struct {
	turns    []int
	credit   []int64
	given    []int    // turns that have been announced, by number
	begin    []int64  // slot at which the next turn to be announced may begin
	releases []int32  // by slot: first of the list of those whose turn may begin there; -1: none
	rest     []int32  // by number: next in its list
	deadline []uint32 // of the announced turn
	ready    turnHeap
}

func newScheduler(turns []int, credit []int64) *scheduler {
	length := 0
	for _, w := range turns {
		length += w
	}
	if credit == nil {
		credit = make([]int64, len(turns))
	}
	s := &scheduler{
		turns:    turns,
		credit:   credit,
		given:    make([]int, len(turns)),
		begin:    make([]int64, len(turns)),
		releases: make([]int32, length),
		rest:     make([]int32, len(turns)),
		deadline: make([]uint32, len(turns)),
		ready:    make(turnHeap, 0, len(turns)),
	}
	for slot := range s.releases {
		s.releases[slot] = -1
	}
	for i := range turns {
		s.begin[i], _ = s.crossing(i, 0)
		s.announce(i, 0)
	}
	return s
}

// crossing is the position in the cycle at which the ideal count of i reaches count, rounded down
// and up.
func (s *scheduler) crossing(i, count int) (floor, ceil int64) {
	numerator := (int64(count)*onePick - s.credit[i]) * int64(len(s.releases))
	denominator := int64(s.turns[i]) * onePick
	floor = numerator / denominator
	remainder := numerator - floor*denominator
	if remainder < 0 {
		floor--
	}
	if remainder == 0 {
		return floor, floor
	}
	return floor, floor + 1
}

// announce puts the next turn of i into the list of the slot at which it may begin, from on.
func (s *scheduler) announce(i, from int) {
	s.given[i]++
	begin := min(max(s.begin[i], int64(from)), int64(len(s.releases))-1)
	next, deadline := s.crossing(i, s.given[i])
	s.begin[i] = next
	s.deadline[i] = uint32(min(max(deadline, 0), int64(len(s.releases))))
	s.rest[i] = s.releases[begin]
	s.releases[begin] = int32(i)
}

// release makes the turns ready that may begin at slot.
func (s *scheduler) release(slot int) {
	for i := s.releases[slot]; i >= 0; i = s.rest[i] {
		s.ready.push(s.deadline[i], int(i))
	}
	s.releases[slot] = -1
}

// releaseEarly makes the turns ready that begin next after slot.
func (s *scheduler) releaseEarly(slot int) {
	for slot++; len(s.ready) == 0; slot++ {
		s.release(slot)
	}
}

// turnHeap is a binary heap of deadline<<32 | number: earliest first, then by number.
type turnHeap []uint64

func (h *turnHeap) push(deadline uint32, number int) {
	turn := uint64(deadline)<<32 | uint64(number)
	*h = append(*h, turn)
	a := *h
	at := len(a) - 1
	for at > 0 && a[(at-1)/2] > turn {
		a[at] = a[(at-1)/2]
		at = (at - 1) / 2
	}
	a[at] = turn
}

func (h *turnHeap) pop() (number int) {
	a := *h
	first, turn := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	if len(a) == 0 {
		return int(uint32(first))
	}
	at := 0
	for child := 1; child < len(a); child = 2*at + 1 {
		if child+1 < len(a) && a[child+1] < a[child] {
			child++
		}
		if a[child] >= turn {
			break
		}
		a[at] = a[child]
		at = child
	}
	a[at] = turn
	return int(uint32(first))
}
