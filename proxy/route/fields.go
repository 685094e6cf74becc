package route

import (
	"slices"
	"strings"

	"weir/config"
	"weir/proxy/message"
)

// HeaderChange changes the fields of a message: Drop marks those that go, Append writes those that
// come. The zero value changes nothing. It is immutable, and any goroutine may use it.
type HeaderChange struct {
	gone  []string // names in lower case: removed or set
	set   []string // names in lower case
	lines string   // those that are set, then those that are added
}

// newHeaderChange renders c, which must have passed validation.
func newHeaderChange(c config.HeaderChange) HeaderChange {
	var h HeaderChange
	for _, name := range c.Remove {
		h.gone = append(h.gone, strings.ToLower(name))
	}
	var lines strings.Builder
	line := func(f config.Header) { lines.WriteString(f.Name + ": " + f.Value + "\r\n") }
	for _, f := range c.Set {
		h.set = append(h.set, strings.ToLower(f.Name))
		line(f)
	}
	for _, f := range c.Add {
		line(f)
	}
	h.gone = append(h.gone, h.set...)
	h.lines = lines.String()
	return h
}

func (c *HeaderChange) empty() bool { return len(c.gone) == 0 && c.lines == "" }

// sets reports whether every field of a name, given in lower case, is replaced by the one that
// Append writes.
func (c *HeaderChange) sets(lower string) bool { return slices.Contains(c.set, lower) }

// claims reports whether every field of a name, given in lower case, is removed or replaced.
func (c *HeaderChange) claims(lower string) bool { return slices.Contains(c.gone, lower) }

// Drop marks the fields that are removed or replaced as not forwarded. A Host that is replaced is
// not written from the authority of an absolute target either; Authority stays what it was.
func (c *HeaderChange) Drop(h *message.Head) {
	if len(c.gone) == 0 {
		return
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		for _, name := range c.gone {
			if message.Equal(h.NameBytes(f), name) {
				f.Drop = true
				break
			}
		}
	}
	if h.Absolute && c.sets("host") {
		h.Absolute = false
	}
}

// Append writes the field lines that are set, then those that are added.
func (c *HeaderChange) Append(dst []byte) []byte { return append(dst, c.lines...) }
