package config

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/dlclark/regexp2"
)

// parseTemplate checks the characters and the placeholders of a URL to be. It returns an example of
// what comes out of it, with the values in their places.
func parseTemplate(text string, values map[string]string) (string, *problem) {
	var out strings.Builder
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		name, after, closed := strings.Cut(after, "}")
		for _, c := range []byte(before) {
			if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`|}", c) >= 0 {
				return "", &problem{text: fmt.Sprintf("%s has a character that cannot stand in a URL", quote(text)), hint: "write such characters like %20"}
			}
		}
		out.WriteString(before)
		rest = after
		if !found {
			continue
		}
		value, known := values[name]
		switch {
		case !closed:
			return "", &problem{text: fmt.Sprintf("%s has no closing }", quote(text)), hint: "close it, or write %7B for the character"}
		case !known:
			return "", unknownPlaceholder(text, name, slices.Sorted(maps.Keys(values)))
		case name == "path" && strings.HasSuffix(before, "/"):
			return "", &problem{text: fmt.Sprintf("%s has a / before {path}, which begins with one", quote(text)), hint: "leave the / out"}
		case name == "query" && strings.ContainsAny(out.String(), "?#"):
			return "", &problem{text: fmt.Sprintf("%s has a ? or # before {query}, which brings its own ?", quote(text)), hint: "leave {query} out, or what stands before it"}
		case name == "query" && after != "":
			return "", &problem{text: fmt.Sprintf("%s has %s behind {query}", quote(text), quote(after)), hint: "put {query} last: it may be empty"}
		}
		out.WriteString(value)
	}
	return out.String(), nil
}

func unknownPlaceholder(text, name string, allowed []string) *problem {
	hint := "allowed: {" + strings.Join(allowed, "}, {") + "}"
	if near := closest(name, allowed); near != "" {
		hint = fmt.Sprintf("did you mean {%s}? (%s)", near, hint)
	}
	return &problem{text: fmt.Sprintf("%s has the unknown placeholder {%s}", quote(text), shorten(name)), hint: hint}
}

// parseRedirect reads the target of a redirection. A path that is put at its beginning could be
// //evil.example and lead to another host, so it has to name a host or begin with a segment.
func parseRedirect(text string, _ *key) (any, *problem) {
	values := map[string]string{"host": "a.example", "path": "/b", "query": "?c=d"}
	example, p := parseTemplate(text, values)
	if p != nil {
		return nil, p
	}
	u, err := url.Parse(example)
	if err != nil {
		return nil, mismatch(text, kindRedirect)
	}
	switch {
	case strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//"):
		return text, nil
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.HasPrefix(text, "{"):
		return nil, &problem{
			text: fmt.Sprintf("%s is neither a URL nor a path", quote(text)),
			hint: "begin with https:// and a host, as in https://{host}{path}{query}, or with / and a segment",
		}
	}
	return text, nil
}

// parseRewrite reads the path that a backend gets.
func parseRewrite(text string, _ *key) (any, *problem) {
	example, p := parseTemplate(text, map[string]string{"path": "/b"})
	if p != nil {
		return nil, p
	}
	switch {
	case !strings.HasPrefix(text, "/"):
		return nil, &problem{text: quote(text) + ` does not begin with "/"`, hint: "write it like this: " + kinds[kindRewrite].example}
	case strings.ContainsAny(example, "?#"):
		return nil, &problem{text: fmt.Sprintf("%s is more than a path", quote(text)), hint: "leave out what begins with ? or #; the query stays as it is"}
	}
	return text, nil
}

// parsePattern wants an expression of Go's engine, which takes linear time on every path.
func parsePattern(text string, k *key) (any, *problem) {
	_, err := regexp.Compile(text)
	if err == nil {
		return text, nil
	}
	if _, err2 := regexp2.Compile(text, regexp2.None); err2 == nil {
		return nil, &problem{
			text: fmt.Sprintf("%s needs an engine that can take exponential time", quote(text)),
			hint: "no look-around and no back references here: write two routes instead",
		}
	}
	return parseRegexp(text, k)
}

func parseFieldName(text string, _ *key) (any, *problem) {
	if !isToken(text) {
		return nil, mismatch(text, kindFieldName)
	}
	return text, nil
}

// parseBody reads the body of a fixed response.
func parseBody(text string, _ *key) (any, *problem) {
	if len(text) > maxPayload {
		return nil, &problem{text: fmt.Sprintf("has %d bytes, over the maximum %d", len(text), maxPayload), hint: "serve it from a backend"}
	}
	return text, nil
}
