package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// address is where a backend is: an IP:port, or a name and a port.
type address struct {
	literal netip.AddrPort // the zero AddrPort of a name
	host    string         // lower case; empty of an IP:port
	port    uint16
}

// String is the canonical form.
func (a address) String() string {
	if a.host == "" {
		return a.literal.String()
	}
	return a.host + ":" + strconv.Itoa(int(a.port))
}

// parseAddress reads the address of a backend.
func parseAddress(text string, _ *key) (any, *problem) {
	host, port, p := splitHostPort(text)
	if p != nil {
		return nil, p
	}
	if p := checkPort(port, 1); p != nil {
		return nil, p
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, mismatch(text, kindAddress)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		if p := checkName(text, host); p != nil {
			return nil, p
		}
		return address{host: strings.ToLower(host), port: uint16(n)}, nil
	}
	if addr.IsUnspecified() || addr.IsMulticast() {
		return nil, &problem{text: fmt.Sprintf("%s is not an address of one machine", quote(text)), hint: "write the address on which the backend listens"}
	}
	return address{literal: netip.AddrPortFrom(addr.Unmap(), uint16(n)), port: uint16(n)}, nil
}

// checkName wants the host of text to be one that can be looked up (RFC 1123, section 2.1; underscores as many
// zones have them).
func checkName(text, host string) *problem {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := labels[len(labels)-1]
	switch {
	case host == "" || strings.Trim(last, "0123456789") == "" && last != "" || strings.Trim(host, "0123456789.:") == "":
		// No name ends with a number: what does is an IP address that is not well formed.
		return &problem{text: fmt.Sprintf("%s does not begin with an IP address or a name", quote(text)), hint: "write it like 10.0.0.11:8080, [2001:db8::1]:8080 or app.example:8080"}
	case strings.HasPrefix(host, "_"):
		return &problem{text: fmt.Sprintf("%s looks like an SRV record; those are not looked up", quote(text)), hint: "write the name of the machines behind it, with their port: app.example:8080"}
	case len(strings.TrimSuffix(host, ".")) > 253:
		return &problem{text: fmt.Sprintf("%s is longer than a name can be", quote(text)), hint: "names have at most 253 characters"}
	case !validLabels(host):
		return &problem{text: fmt.Sprintf("%s is not a name", quote(text)), hint: "labels have 1 … 63 letters, digits, - and _, and neither begin nor end with -; write other scripts in their ASCII form (xn--…)"}
	}
	return nil
}
