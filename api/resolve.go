package api

import (
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Name is what is known of a backend whose addresses are those of a name.
type Name struct {
	Backend   string // in the configuration
	Host      string
	Port      uint16
	State     string // resolving, resolved, stale or unresolved
	Since     time.Time
	Reason    string // why it is not resolved, or not all of its addresses are used; may be empty
	Addresses []netip.Addr
	Asked     time.Time // end of the last look-up; the zero time: there was none
}

// NameStatus is one backend whose addresses are those of a name. In use they are backends NAME/IP.
type NameStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"` // as configured
	// State is resolving (the first look-up is under way), resolved, stale (the addresses are those of an
	// earlier answer) or unresolved (there never was one).
	State     string     `json:"state"`
	Since     time.Time  `json:"since"` // of that state
	Reason    string     `json:"reason"`
	Addresses []string   `json:"addresses"`
	Asked     *time.Time `json:"asked,omitempty"` // when the last look-up ended; absent: there was none
}

func nameStatuses(names []Name) (list []NameStatus) {
	for _, n := range names {
		s := NameStatus{
			Name: n.Backend, Address: net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))),
			State: n.State, Since: n.Since.UTC(), Reason: n.Reason, Addresses: make([]string, 0, len(n.Addresses)),
		}
		for _, a := range n.Addresses {
			s.Addresses = append(s.Addresses, a.String())
		}
		if !n.Asked.IsZero() {
			asked := n.Asked.UTC()
			s.Asked = &asked
		}
		list = append(list, s)
	}
	return list
}
