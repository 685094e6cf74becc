package main

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"weir/api"
	"weir/proxy/handover"
)

// formers are the processes before this one that have connections left. They end with the last of them. The
// zero value is none.
type formers struct {
	mu   sync.Mutex
	list []former
}

// former is one, by a descriptor, since its number can be given to another process.
type former struct{ pid, fd int }

// newFormers follows the giver of an offer, and those that the giver followed.
func newFormers(o handover.Offer) *formers {
	f := &formers{}
	for _, pid := range append(slices.Clone(o.Former), o.PID) {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil { // else it has ended, or the kernel cannot tell
			f.list = append(f.list, former{pid, fd})
		}
	}
	return f
}

// pids lists those that have not ended, the first before the others.
func (f *formers) pids() (pids []int) {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.DeleteFunc(f.list, func(p former) bool {
		look := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(look, 0)
		if n > 0 && err == nil {
			_ = unix.Close(p.fd) // nothing is written to it
			return true
		}
		return false
	})
	for _, p := range f.list {
		pids = append(pids, p.pid)
	}
	return pids
}

// formerLine tells of the processes before this one; empty: there are none.
func formerLine(s api.Status) string {
	switch len(s.Former) {
	case 0:
		return ""
	case 1:
		return "the process before, pid " + pidList(s.Former) + ", still has connections"
	}
	return "processes before, pids " + pidList(s.Former) + ", still have connections"
}

func pidList(pids []int) string {
	var words []string
	for _, p := range pids {
		words = append(words, strconv.Itoa(p))
	}
	return strings.Join(words, ", ")
}
