package config

import (
	"fmt"
	"strings"
)

// expansion is the outcome of expanding one scalar.
type expansion struct {
	text    string
	changed bool     // text differs in kind from what stands in the file
	secret  bool     // text has the content of a file, which messages must not show
	hidden  []string // such contents
	problem *problem
}

// expander replaces ${VAR}, ${VAR:-default}, ${file:/path} and $$ in scalars that have been parsed,
// so that no value can break the YAML around it.
type expander struct {
	lookup func(name string) (string, bool)
	in     *inputs
	never  bool // a reference is an error
	// discreet hides the values of variables, too.
	discreet bool
}

// expand replaces all references in text. Every other $ stands for itself, as in "^ok$".
func (e *expander) expand(text string, src *source) expansion {
	if !strings.Contains(text, "$") {
		return expansion{text: text}
	}
	var out expansion
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		b.WriteString(before)
		switch {
		case !found:
			out.text = b.String()
			return out
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			text = rest[1:]
		case strings.HasPrefix(rest, "{"):
			reference, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				out.problem = &problem{"${ has no closing }", "close it, or write $${ for a literal ${"}
				return out
			}
			value, p := e.reference(reference, src, &out)
			if p != nil {
				out.problem = p
				return out
			}
			b.WriteString(value)
			out.changed = true
			text = after
		default:
			b.WriteByte('$')
			text = rest
		}
	}
}

// reference returns the value of what stands between ${ and }.
func (e *expander) reference(ref string, src *source, out *expansion) (string, *problem) {
	if e.never {
		return "", &problem{fmt.Sprintf("${%s} is not replaced in objects made through the API", shorten(ref)), "give the value itself; $${ stands for ${"}
	}
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		out.secret = true
		value, err := e.in.secret(src.join(path))
		if err != nil {
			return "", &problem{fmt.Sprintf("${%s} cannot be read: %v", shorten(ref), err), "make the file readable for weir, or correct its path"}
		}
		out.hidden = append(out.hidden, value)
		return value, nil
	}
	name, def, hasDefault := strings.Cut(ref, ":-")
	if !validVariable(name) {
		return "", &problem{
			fmt.Sprintf("${%s} is not a reference", shorten(ref)),
			"write ${VAR}, ${VAR:-default} or ${file:/path}, or $${ for a literal ${",
		}
	}
	value, set := e.lookup(name)
	if e.discreet {
		out.secret = true
		out.hidden = append(out.hidden, value)
	}
	switch {
	case hasDefault && (!set || value == ""):
		return def, nil
	case !set:
		return "", &problem{fmt.Sprintf("${%s} is not set", name), fmt.Sprintf("set it in the environment, or write ${%s:-default}", name)}
	}
	return value, nil
}

// validVariable reports whether name can be that of an environment variable.
func validVariable(name string) bool {
	for i, c := range []byte(name) {
		if c != '_' && !isAlnum(c) || i == 0 && c >= '0' && c <= '9' {
			return false
		}
	}
	return name != ""
}
