package main

import (
	"bytes"
	"regexp"
	"strings"
)

// scanner reads the text of lines, and knows what is open at the end of each.
type scanner struct {
	depth    int  // of brackets and braces
	quote    byte // that is open; 0: none
	keyed    bool // the last line that was outside of brackets and quotes had a key
	opened   bool // it opened a block of text
	comments []string
}

// blockStart is a value that opens a block of text (YAML 1.2, section 8.1).
var blockStart = regexp.MustCompile(`^(?:[&!][^ ]* +)*[|>][-+0-9]*(?: +#.*)?$`)

// leastGap is how many spaces there are before a comment at the end of a line, at least.
const leastGap = 2

// scan lays the text of one line out.
func (s *scanner) scan(text string) string {
	if s.depth > 0 || s.quote != 0 {
		return s.flow(text)
	}
	s.keyed, s.opened = false, false
	key, value, keyed := cutKey(text)
	s.keyed = keyed
	if !keyed {
		return s.value(text)
	}
	if value == "" {
		return key + ":"
	}
	if value[0] == '#' {
		return s.comment(key+":", text[:strings.Index(text, value)], value)
	}
	return key + ": " + s.value(value)
}

// cutKey splits a line at the colon behind its key.
func cutKey(text string) (key, value string, ok bool) {
	at := 0
	if text != "" && (text[0] == '"' || text[0] == '\'') {
		if at = quoteEnd(text, text[0], 1); at == 0 {
			return "", "", false
		}
	} else if text == "" || strings.ContainsRune("{[#&*!|>%@`", rune(text[0])) {
		return "", "", false
	}
	for ; at < len(text); at++ {
		switch {
		case text[at] == ':' && (at+1 == len(text) || text[at+1] == ' '):
			return strings.TrimRight(text[:at], " "), strings.TrimLeft(text[at+1:], " "), true
		case text[at] == '#' && at > 0 && text[at-1] == ' ':
			return "", "", false
		}
	}
	return "", "", false
}

// quoteEnd is the place behind the quote that ends the text that began before from; 0: it goes on.
func quoteEnd(text string, quote byte, from int) int {
	for i := from; i < len(text); i++ {
		switch {
		case quote == '"' && text[i] == '\\':
			i++
		case text[i] != quote:
		case quote == '\'' && i+1 < len(text) && text[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// value lays a value out that begins on this line.
func (s *scanner) value(text string) string {
	switch {
	case text == "":
		return ""
	case blockStart.MatchString(text):
		s.opened = true
		head, comment, found := strings.Cut(text, " #")
		if !found {
			return text
		}
		return s.comment(strings.TrimRight(head, " "), head, "#"+comment)
	case strings.ContainsRune("{[\"'", rune(text[0])):
		return s.flow(text)
	}
	// Plain text, perhaps behind an anchor or a tag: what is in it stays.
	if text[0] == '#' {
		return s.comment("", "", text)
	}
	if at := strings.Index(text, " #"); at >= 0 {
		return s.comment(strings.TrimRight(text[:at], " "), text[:at+1], text[at+1:])
	}
	return text
}

// comment puts a comment behind text, as far away as it was, but for at least a few spaces. before is what was
// in front of it.
func (s *scanner) comment(text, before, comment string) string {
	comment = strings.TrimRight(comment, " \t")
	s.comments = append(s.comments, comment)
	if text == "" {
		return comment
	}
	gap := len(before) - len(strings.TrimRight(before, " "))
	return text + strings.Repeat(" ", max(gap, leastGap)) + comment
}

// flow lays out brackets and braces, or quotes, until they are closed or the line ends. What follows is a comment,
// or left as it is.
func (s *scanner) flow(text string) string {
	var out bytes.Buffer
	for i := 0; i < len(text); {
		if s.quote != 0 {
			end := quoteEnd(text, s.quote, i)
			if end == 0 {
				out.WriteString(text[i:])
				return out.String()
			}
			out.WriteString(text[i:end])
			s.quote, i = 0, end
			continue
		}
		c := text[i]
		switch {
		case (c == '"' || c == '\'') && !plainBefore(out.Bytes()):
			s.quote = c
			out.WriteByte(c)
			i++
		case c == '#' && (i == 0 || text[i-1] == ' '):
			return s.comment(strings.TrimRight(out.String(), " "), text[:i], text[i:])
		case s.depth == 0 && c != '{' && c != '[':
			out.WriteByte(c)
			i++
		default:
			i = s.mark(&out, text, i)
		}
	}
	return strings.TrimRight(out.String(), " ")
}

// plainBefore reports whether a quote that follows is part of a plain word.
func plainBefore(out []byte) bool {
	return len(out) > 0 && !strings.ContainsRune(" {[,:", rune(out[len(out)-1]))
}

// mark writes the character at i, with the spaces that it has around it, and returns where to go on.
func (s *scanner) mark(out *bytes.Buffer, text string, i int) int {
	next := i + 1
	rest := strings.TrimLeft(text[next:], " ")
	trim := func() { out.Truncate(len(bytes.TrimRight(out.Bytes(), " "))) }
	skip := func() int { return len(text) - len(rest) }
	switch c := text[i]; c {
	case '{', '[':
		s.depth++
		out.WriteByte(c)
		if c == '{' && rest != "" && rest[0] != '}' {
			out.WriteByte(' ')
		}
		return skip()
	case '}', ']':
		s.depth--
		trim()
		if c == '}' && !bytes.HasSuffix(out.Bytes(), []byte("{")) && out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteByte(c)
		return next
	case ',':
		trim()
		out.WriteString(", ")
		return skip()
	case ':':
		if rest == "" || text[next] == ' ' {
			trim()
			out.WriteString(": ")
			return skip()
		}
	}
	out.WriteByte(text[i])
	return next
}
