package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseListen reads the address of a listener: "IP:port", "[IPv6]:port" or ":port".
func parseListen(text string, _ *key) (any, *problem) {
	if text == "" {
		return "", nil
	}
	host, port, p := splitHostPort(text)
	if p != nil {
		return nil, p
	}
	if p := checkPort(port, 0); p != nil {
		return nil, p
	}
	if host == "" || host == "*" {
		return ":" + port, nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return nil, &problem{
			text: fmt.Sprintf("%s does not begin with an IP address", quote(text)),
			hint: fmt.Sprintf("names are not resolved here: write an IP:port, or :%s for all addresses", port),
		}
	}
	return text, nil
}

// splitHostPort is net.SplitHostPort with remedies.
func splitHostPort(text string) (host, port string, p *problem) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Is6() {
		return "", "", &problem{text: quote(text) + " has no port", hint: fmt.Sprintf("write [%s]:8080", shorten(text))}
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		if strings.Trim(text, "0123456789") == "" {
			return "", "", &problem{text: quote(text) + " is only a port", hint: "write :" + shorten(text) + " or IP:" + shorten(text)}
		}
		return "", "", &problem{text: quote(text) + " has no port", hint: fmt.Sprintf("write %s:8080", shorten(text))}
	}
	host, port = text[:i], text[i+1:]
	if strings.Contains(host, "/") {
		return "", "", &problem{text: quote(text) + " is not an IP:port", hint: "leave out the scheme and the path"}
	}
	if rest, ok := strings.CutPrefix(host, "["); ok {
		inner, ok := strings.CutSuffix(rest, "]")
		if addr, err := netip.ParseAddr(inner); !ok || err != nil || !addr.Is6() {
			return "", "", &problem{text: quote(text) + " is not an IP:port", hint: "only an IPv6 address stands in brackets: [2001:db8::1]:8080"}
		}
		return inner, port, nil
	}
	if strings.Contains(host, ":") {
		return "", "", &problem{text: quote(text) + " is not an IP:port", hint: "an IPv6 address stands in brackets: [2001:db8::1]:8080"}
	}
	return host, port, nil
}

// checkPort wants a decimal port from least to 65535.
func checkPort(port string, least uint64) *problem {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n < least || (len(port) > 1 && port[0] == '0') {
		return &problem{text: fmt.Sprintf("has the port %s", quote(port)), hint: fmt.Sprintf("ports are %d … 65535", max(least, 1))}
	}
	return nil
}

func parseIP(text string, _ *key) (any, *problem) {
	if text == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.IsUnspecified() || addr.IsMulticast() {
		return nil, mismatch(text, kindIP)
	}
	return addr.Unmap(), nil
}

// parsePrefix reads a network, or an address as the network of it alone.
func parsePrefix(text string, _ *key) (any, *problem) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, mismatch(text, kindPrefix)
	}
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < 96 {
			return nil, mismatch(text, kindPrefix)
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	if masked := prefix.Masked(); masked != prefix {
		return nil, &problem{
			text: fmt.Sprintf("%s has bits beyond its length", quote(text)),
			hint: fmt.Sprintf("write %s, or %s for the one address", masked, prefix.Addr()),
		}
	}
	return prefix, nil
}
