package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxBody bounds what a client may send, in bytes. It is what a file of a configuration may have.
	maxBody = 8 << 20
	// maxDepth is how deep a document may nest. The vocabulary needs 8.
	maxDepth = 32
)

// The media types of bodies.
const (
	mediaJSON       = "application/json"
	mediaMergePatch = "application/merge-patch+json"
	mediaYAML       = "application/yaml"
)

// readBody reads the whole body of a request that must be of one of the media types.
func readBody(r *http.Request, types ...string) ([]byte, error) {
	if err := checkType(r.Header, types); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, problem(http.StatusRequestEntityTooLarge,
			fmt.Sprintf("the body has more than %d MiB", maxBody>>20), "send less at a time")
	}
	if err != nil {
		return nil, problem(http.StatusBadRequest, "the body did not come whole: "+err.Error(), "send it again")
	}
	return body, nil
}

// checkType wants one of the media types, and no compression.
func checkType(h http.Header, types []string) error {
	hint := fmt.Sprintf("send the header Content-Type: %s", strings.Join(types, ", or "))
	field := h.Get("Content-Type")
	if field == "" {
		return problem(http.StatusUnsupportedMediaType, "the body has no Content-Type", hint)
	}
	media, parameters, err := mime.ParseMediaType(field)
	if err != nil || !slices.Contains(types, media) {
		return problem(http.StatusUnsupportedMediaType, "Content-Type "+quote(field)+" is not taken here", hint)
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return problem(http.StatusUnsupportedMediaType, "the charset "+quote(charset)+" is not taken here", "send UTF-8")
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return problem(http.StatusUnsupportedMediaType, "Content-Encoding "+quote(encoding)+" is not taken here", "send the body as it is")
	}
	return nil
}

// readObject reads a body that must be one JSON object: well formed, in UTF-8, no key twice in an object,
// nothing behind it.
func readObject(r *http.Request, types ...string) ([]byte, error) {
	body, err := readBody(r, types...)
	if err != nil {
		return nil, err
	}
	if err := checkJSON(body, '{'); err != nil {
		return nil, err
	}
	return body, nil
}

// checkJSON wants body to be one JSON value that begins with open: { or [.
func checkJSON(body []byte, open json.Delim) error {
	kind := map[json.Delim]string{'{': "an object", '[': "a list"}[open]
	c := &jsonCheck{body: body, decoder: json.NewDecoder(bytes.NewReader(body))}
	c.decoder.UseNumber()
	if len(bytes.TrimSpace(body)) == 0 {
		return problem(http.StatusBadRequest, "the body is empty", "send "+kind+" of JSON")
	}
	if i := invalidUTF8(body); i >= 0 {
		return c.fail(i, "the body is not UTF-8", "send UTF-8")
	}
	first, err := c.decoder.Token()
	if err != nil {
		return c.syntax(err)
	}
	if first != open {
		return c.fail(0, "the body is not "+kind+" of JSON", "send "+kind)
	}
	if err := c.inside(open, "", 1); err != nil {
		return err
	}
	end := int(c.decoder.InputOffset())
	if rest := bytes.TrimLeft(body[end:], " \t\r\n"); len(rest) > 0 {
		return c.fail(len(body)-len(rest), "something follows the JSON value", "send one value")
	}
	return nil
}

// jsonCheck walks through a document.
type jsonCheck struct {
	body    []byte
	decoder *json.Decoder
}

// inside reads the rest of an object or a list, whose path is path.
func (c *jsonCheck) inside(open json.Delim, path string, depth int) error {
	if depth > maxDepth {
		return c.fail(int(c.decoder.InputOffset()), fmt.Sprintf("the body nests deeper than %d", maxDepth), "nothing here needs that")
	}
	keys := map[string]bool{}
	for i := 0; c.decoder.More(); i++ {
		below := fmt.Sprintf("%s[%d]", path, i)
		if open == '{' {
			key, err := c.decoder.Token()
			if err != nil {
				return c.syntax(err)
			}
			name, _ := key.(string) // a key that is no text is an error of the decoder's
			below = strings.TrimPrefix(path+"."+name, ".")
			if keys[name] {
				p := c.fail(int(c.decoder.InputOffset())-1, "repeated key "+quote(name), "remove one of them")
				p.Path = below
				return p
			}
			keys[name] = true
		}
		value, err := c.decoder.Token()
		if err != nil {
			return c.syntax(err)
		}
		if delim, ok := value.(json.Delim); ok {
			if err := c.inside(delim, below, depth+1); err != nil {
				return err
			}
		}
	}
	if _, err := c.decoder.Token(); err != nil {
		return c.syntax(err)
	}
	return nil
}

// syntax is the problem of a document that is not JSON.
func (c *jsonCheck) syntax(err error) error {
	at, text := int(c.decoder.InputOffset()), err.Error()
	// The decoder does not always know where it is; whoever looks at the whole does.
	var whole json.RawMessage
	if e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(c.body, &whole)); ok {
		at, text = int(e.Offset)-1, e.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, text = len(c.body), "it ends too early"
	}
	return c.fail(at, "the body is not JSON: "+text, "")
}

// fail is a problem at a byte of the body.
func (c *jsonCheck) fail(at int, detail, hint string) *Problem {
	p := problem(http.StatusBadRequest, detail, hint)
	before := c.body[:min(max(at, 0), len(c.body))]
	p.Line = 1 + bytes.Count(before, []byte{'\n'})
	p.Column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return p
}

// invalidUTF8 is where a text stops being UTF-8; -1: nowhere.
func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
