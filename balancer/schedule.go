package balancer

// maxSlots is the most slots of a cycle.
const maxSlots = 1 << 16

// onePick is one pick in the fixed-point unit of a credit. A turn (at most 2^16) times onePick times
// the length of a cycle (at most 2^16) fits an int64.
const onePick = 1 << 24

// schedule lays out a cycle in which number i has turns[i] slots. Every entry of turns is at least
// 1 and their sum at most maxSlots. It is Tijdeman's solution of the chairman assignment problem
// (Discrete Mathematics 32, 1980): with δ = 1/(2n-2), turn j of i may not end before the ideal count
// of i reaches j-1+δ and has to be over when that reaches j-δ; of the turns that may have a slot, the
// one with the earliest deadline gets it. From zero credit no turn misses its deadline, so every
// prefix of the cycle is within 1-δ slots of the ideal, which is the best that can be had.
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
	margin   int64    // δ, in 1/onePick
	given    []int    // turns that have been announced, by number
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
		margin:   onePick / int64(max(2*len(turns)-2, 1)),
		releases: make([]int32, length),
		rest:     make([]int32, len(turns)),
		deadline: make([]uint32, len(turns)),
		ready:    make(turnHeap, 0, len(turns)),
	}
	for slot := range s.releases {
		s.releases[slot] = -1
	}
	for i := range turns {
		s.announce(i, 0)
	}
	return s
}

// crossing is the first slot at whose beginning the ideal count of i has reached count, in
// 1/onePick.
func (s *scheduler) crossing(i int, count int64) int64 {
	numerator := (count - s.credit[i]) * int64(len(s.releases))
	denominator := int64(s.turns[i]) * onePick
	slot := numerator / denominator // towards zero
	if numerator > slot*denominator {
		slot++
	}
	return slot
}

// announce puts the next turn of i into the list of the slot at which it may begin, from on.
func (s *scheduler) announce(i, from int) {
	length := int64(len(s.releases))
	begin := s.crossing(i, int64(s.given[i])*onePick+s.margin) - 1
	s.given[i]++
	deadline := s.crossing(i, int64(s.given[i])*onePick-s.margin)
	s.deadline[i] = uint32(min(max(deadline, 0), length))
	begin = min(max(begin, int64(from)), length-1)
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
