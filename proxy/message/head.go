package message

import "bytes"

// Field is one field line: offsets into the buffer of its head.
type Field struct {
	Start    uint32 // of the line
	NameLen  uint32
	Value    uint32 // start of the value, without leading white space
	ValueEnd uint32 // end of the value, without trailing white space
	End      uint32 // of the line, after its CRLF
	Name     Name
	Drop     bool // not forwarded
}

// Head is the head of a request or a response.
type Head struct {
	Buf    []byte // the head as received, from the first byte of the start line on
	Fields []Field
	Size   int // bytes of the head in Buf, with the empty line

	Minor int // of the HTTP/1 version: 0 or 1

	// Requests.
	Method    []byte
	Target    []byte // in the form in which it is forwarded: origin form or "*"
	Versioned bool   // the request line was read to its end, so that Minor says something
	Authority []byte // of the target, else of Host; empty if there was none
	Absolute  bool   // the target came in absolute form, so Host must be written afresh

	// Responses.
	Status int
	Reason []byte

	// Body framing.
	Chunked       bool
	ContentLength int64 // -1: not given

	// What the fields ask for.
	Options        int  // how many connection options there are, in all Connection fields
	Close          bool // Connection: close
	KeepAlive      bool // Connection: keep-alive
	Upgrade        bool // an Upgrade field is there, and Connection names it
	ExpectContinue bool
	TETrailers     bool

	has nameSet
}

// Reset empties the head for the next message; slices keep their memory.
func (h *Head) Reset() {
	fields := h.Fields[:0]
	*h = Head{Fields: fields, ContentLength: -1}
}

// Add appends a field of that name for the caller to fill in, with offsets that lie within Buf. It
// is valid until the next Add. (Fields are made in place because copying one costs more than
// reading most lines: the copy waits for the stores.)
func (h *Head) Add(n Name) *Field {
	h.has |= 1 << n
	last := len(h.Fields)
	if last < cap(h.Fields) {
		h.Fields = h.Fields[:last+1]
	} else {
		h.Fields = append(h.Fields, Field{})
	}
	f := &h.Fields[last]
	f.Name, f.Drop = n, false
	return f
}

// Has reports whether a field of that name is there. It may not be asked for Other.
func (h *Head) Has(n Name) bool { return h.has&(1<<n) != 0 }

// NameBytes is the name of f as it came.
func (h *Head) NameBytes(f *Field) []byte { return h.Buf[f.Start : f.Start+f.NameLen] }

// Value is the value of f without surrounding white space.
func (h *Head) Value(f *Field) []byte { return h.Buf[f.Value:f.ValueEnd] }

// Line is the line of f with its CRLF.
func (h *Head) Line(f *Field) []byte { return h.Buf[f.Start:f.End] }

// Keeps reports whether a field of that name is there and forwarded. It may not be asked for Other.
func (h *Head) Keeps(n Name) bool {
	if !h.Has(n) {
		return false
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; f.Name == n && !f.Drop {
			return true
		}
	}
	return false
}

// Get returns the first value of a recognised name, nil if there is none.
func (h *Head) Get(n Name) []byte {
	if !h.Has(n) {
		return nil
	}
	for i := range h.Fields {
		if h.Fields[i].Name == n {
			return h.Value(&h.Fields[i])
		}
	}
	return nil
}

// Lookup returns the first value of a name, given in lower case; nil if there is none.
func (h *Head) Lookup(lower string) []byte {
	for i := range h.Fields {
		if f := &h.Fields[i]; int(f.NameLen) == len(lower) && Equal(h.NameBytes(f), lower) {
			return h.Value(f)
		}
	}
	return nil
}

// Kept reports whether a field of a name, given in lower case, is there and forwarded.
func (h *Head) Kept(lower string) bool {
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Drop && Equal(h.NameBytes(f), lower) {
			return true
		}
	}
	return false
}

// Interpret reads the connection options and expectations out of the fields. Codecs call it once,
// after the last field.
func (h *Head) Interpret() {
	if h.has&(1<<Connection|1<<ProxyConnection|1<<TE|1<<Expect) == 0 {
		return
	}
	upgradeNamed := false
	for i := range h.Fields {
		f := &h.Fields[i]
		switch f.Name {
		case Connection, ProxyConnection:
			for token := range tokens(h.Value(f)) {
				if f.Name == Connection {
					h.Options++
				}
				switch {
				case Equal(token, "close"):
					h.Close = true
				case Equal(token, "keep-alive"):
					h.KeepAlive = true
				case f.Name == Connection && Equal(token, "upgrade"):
					upgradeNamed = true
				}
			}
		case TE:
			for token := range tokens(h.Value(f)) {
				if Equal(token, "trailers") {
					h.TETrailers = true
				}
			}
		case Expect:
			h.ExpectContinue = Equal(h.Value(f), "100-continue")
		}
	}
	h.Upgrade = upgradeNamed && h.Has(Upgrade)
}

// tokens yields the elements of a comma-separated list, with their parameters and without
// surrounding white space; empty ones are left out.
func tokens(v []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(v) > 0 {
			var token []byte
			if i := bytes.IndexByte(v, ','); i >= 0 {
				token, v = v[:i], v[i+1:]
			} else {
				token, v = v, nil
			}
			if token = trim(token); len(token) > 0 && !yield(token) {
				return
			}
		}
	}
}

// HasToken reports whether a comma-separated list has an element, given in lower case, as a whole.
func HasToken(list []byte, lower string) bool {
	for token := range tokens(list) {
		if Equal(token, lower) {
			return true
		}
	}
	return false
}

// HasProtocol reports whether an Upgrade list has a protocol of that name, given in lower case, in
// whatever version (RFC 9110, section 7.8: protocol-name ["/" protocol-version]).
func HasProtocol(list []byte, lower string) bool {
	for token := range tokens(list) {
		if name, _, _ := bytes.Cut(token, slash); Equal(trim(name), lower) {
			return true
		}
	}
	return false
}

// OnlyProtocols reports whether every protocol of an Upgrade list is well-formed (RFC 9110, section
// 7.8) and, unless asked is nil, one of that list, in any letter case. An empty list has none.
func OnlyProtocols(list, asked []byte) bool {
	some := false
	for token := range tokens(list) {
		name, version, versioned := bytes.Cut(token, slash)
		if !isToken(name) || versioned && !isToken(version) {
			return false
		}
		if asked != nil && !hasToken(asked, token) {
			return false
		}
		some = true
	}
	return some
}

// hasToken reports whether a list has an element, in any letter case.
func hasToken(list, want []byte) bool {
	for token := range tokens(list) {
		if EqualFold(token, want) {
			return true
		}
	}
	return false
}

// isToken reports whether b is a token (RFC 9110, section 5.6.2).
func isToken(b []byte) bool { return len(b) > 0 && tokenLen(b) == len(b) }

var slash = []byte{'/'}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
