package config

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/dlclark/regexp2"
)

// parseHost reads a host name or an IP address, without port.
func parseHost(text string, _ *key) (any, *problem) {
	if text == "" {
		return "", nil
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return text, nil
	}
	if len(text) > 253 || !validLabels(text) {
		return nil, &problem{text: quote(text) + " is not a host name", hint: "letters, digits, - and dots only; no scheme, no port"}
	}
	return text, nil
}

// parseHostPort reads a host name with or without port.
func parseHostPort(text string, k *key) (any, *problem) {
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		if _, err := netip.ParseAddr(text); err != nil {
			if p := checkPort(text[i+1:], 1); p != nil {
				return nil, p
			}
			host = text[:i]
		}
	}
	if _, p := parseHost(host, k); p != nil {
		return nil, p
	}
	return text, nil
}

// parseHostPattern reads the host of a route, lower case: a name, an address or *.suffix.
func parseHostPattern(text string, k *key) (any, *problem) {
	name := strings.TrimSuffix(strings.ToLower(text), ".")
	suffix := strings.TrimPrefix(name, "*.")
	if text == "" || strings.Contains(suffix, "*") {
		what := k.name
		if strings.HasSuffix(k.path, "[]") {
			what = k.parent.name
		}
		return nil, &problem{text: quote(text) + " is not a host pattern", hint: "write a name, or *. and a name; leave " + what + " out to match all"}
	}
	if _, p := parseHost(suffix, k); p != nil {
		return nil, p
	}
	return name, nil
}

// validLabels reports whether name is made of the characters of host names.
func validLabels(name string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// parseURLPath reads the path of a route.
func parseURLPath(text string, k *key) (any, *problem) {
	if i := strings.IndexAny(text, "?#"); i >= 0 {
		return nil, &problem{text: fmt.Sprintf("%s is more than a path", quote(text)), hint: "leave out what begins with ? or #"}
	}
	return parseTarget(text, k)
}

// parseTarget reads a request target in origin form.
func parseTarget(text string, _ *key) (any, *problem) {
	if !strings.HasPrefix(text, "/") {
		return nil, &problem{text: quote(text) + ` does not begin with "/"`, hint: "write " + quote("/"+text)}
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return nil, &problem{text: fmt.Sprintf("%s has a character that cannot stand in a request line", quote(text)), hint: "write such characters like %20"}
		}
	}
	return text, nil
}

// standardMethods are written in capitals whatever the letter case of the file.
var standardMethods = map[string]bool{
	"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true, "TRACE": true,
}

func parseMethod(text string, _ *key) (any, *problem) {
	if upper := strings.ToUpper(text); standardMethods[upper] {
		return upper, nil
	}
	if !isToken(text) || strings.EqualFold(text, "CONNECT") {
		return nil, mismatch(text, kindMethod)
	}
	return text, nil
}

// parseALPN reads the identifier of an application protocol (RFC 7301, section 6): bytes, of which
// those that are printed will do.
func parseALPN(text string, _ *key) (any, *problem) {
	if text == "" || len(text) > 255 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, mismatch(text, kindALPN)
	}
	return text, nil
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// parseNodeID reads how weir names itself in Forwarded: not, by its address, or by an identifier (RFC
// 7239, section 6.3).
func parseNodeID(text string, _ *key) (any, *problem) {
	if text == "" || text == "address" {
		return text, nil
	}
	id := strings.TrimPrefix(text, "_")
	for _, c := range []byte(id) {
		if !isAlnum(c) && strings.IndexByte("._-", c) < 0 {
			return nil, mismatch(text, kindNodeID)
		}
	}
	if id == text || id == "" {
		return nil, &problem{text: quote(text) + " is not an identifier", hint: "write _ and a name, as in _edge1, or address"}
	}
	return text, nil
}

// parsePseudonym reads the name of a proxy in Via (RFC 9110, section 7.6.3).
func parsePseudonym(text string, _ *key) (any, *problem) {
	if text != "" && !isToken(text) {
		return nil, mismatch(text, kindPseudonym)
	}
	return text, nil
}

func parseFieldValue(text string, _ *key) (any, *problem) {
	for _, c := range []byte(text) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, &problem{text: fmt.Sprintf("%s has a control character", quote(text)), hint: "write the value on one line"}
		}
	}
	return strings.TrimSpace(text), nil
}

// parseRegexp wants an expression that Go's engine or the backtracking one compiles.
func parseRegexp(text string, _ *key) (any, *problem) {
	_, err := regexp.Compile(text)
	if err == nil {
		return text, nil
	}
	if _, err2 := regexp2.Compile(text, regexp2.None); err2 != nil {
		return nil, &problem{
			text: fmt.Sprintf("%s does not compile: %s", quote(text), strings.TrimPrefix(err.Error(), "error parsing regexp: ")),
			hint: `Go syntax; write \ before a character that is meant literally`,
		}
	}
	return text, nil
}

// parseFile refuses what cannot be a path.
func parseFile(text string, _ *key) (any, *problem) {
	if strings.ContainsRune(text, 0) || len(text) > 4096 {
		return nil, &problem{text: quote(text) + " is not a path", hint: "a path has no zero byte and at most 4096 bytes"}
	}
	return text, nil
}

// parseOutput reads the destination of the access log.
func parseOutput(text string, k *key) (any, *problem) {
	switch word := strings.ToLower(text); word {
	case "off", "stdout", "stderr":
		return word, nil
	case "":
		return nil, &problem{text: "is empty", hint: "write off, stdout, stderr or a path"}
	}
	return parseFile(text, k)
}

// statusItem is one item of a list of statuses.
type statusItem struct {
	text    string
	codes   StatusRange
	exclude bool
}

func parseStatus(text string, _ *key) (any, *problem) {
	rest, exclude := strings.CutPrefix(text, "!")
	first, last, isRange := strings.Cut(rest, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	to, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if err1 != nil || err2 != nil {
		return nil, mismatch(text, kindStatus)
	}
	if from < 100 || to > 599 || from > to {
		return nil, &problem{text: quote(text) + " is not a range of statuses", hint: "allowed: 100 … 599, the smaller one first"}
	}
	return statusItem{text, StatusRange{int(from), int(to)}, exclude}, nil
}

// maxPayload is the most that a probe sends or compares, in bytes.
const maxPayload = 64 << 10

func parsePayload(text string, _ *key) (any, *problem) {
	data := []byte(text)
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		var err error
		if data, err = hex.DecodeString(strings.Join(strings.Fields(digits), "")); err != nil {
			return nil, &problem{text: fmt.Sprintf("%s is not hexadecimal", quote(text)), hint: "after hex: write pairs of 0-9 and a-f"}
		}
	}
	if len(data) > maxPayload {
		return nil, &problem{text: fmt.Sprintf("has %d bytes, over the maximum %d", len(data), maxPayload), hint: "send less"}
	}
	return data, nil
}

func parseExpect(text string, k *key) (any, *problem) {
	if strings.HasPrefix(text, "hex:") {
		data, p := parsePayload(text, k)
		if p != nil {
			return nil, p
		}
		return Expect{Literal: data.([]byte)}, nil
	}
	if _, p := parseRegexp(text, k); p != nil {
		return nil, p
	}
	return Expect{Pattern: text}, nil
}
