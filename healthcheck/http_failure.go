package healthcheck

import (
	"errors"
	"fmt"
	"io"

	"github.com/valyala/fasthttp"
)

// headFailure says why there is no usable response head.
func (p *httpProber) headFailure(err error, t *tap) string {
	_, tooLarge := errors.AsType[*fasthttp.ErrSmallBuffer](err)
	received := `"` + p.excerpt(t.first) + `"`
	switch {
	case tooLarge:
		return "response head larger than " + size(maxHead)
	case isTimeout(t.err) && len(t.first) == 0:
		return "no response within " + brief(p.check.Timeout)
	case isTimeout(t.err):
		return "no complete response head within " + brief(p.check.Timeout) + ": " + received
	case errors.Is(t.err, io.EOF) && len(t.first) == 0:
		return "connection closed without a response"
	case t.err != nil && !errors.Is(t.err, io.EOF):
		return describe(t.err) + " before a response"
	}
	return "no valid HTTP response: " + received
}

// bodyFailure says why the body did not come to its end, n bytes into it.
func (p *httpProber) bodyFailure(err error, t *tap, n int) string {
	switch {
	case isTimeout(t.err):
		return fmt.Sprintf("body not complete within %s (%s so far)", brief(p.check.Timeout), size(n))
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(t.err, io.EOF):
		return fmt.Sprintf("connection closed within the body, after %s", size(n))
	case t.err != nil:
		return fmt.Sprintf("%s within the body, after %s", describe(t.err), size(n))
	}
	return fmt.Sprintf("body not readable after %s: %s", size(n), p.excerpt([]byte(err.Error())))
}

// tap remembers how a stream began and what ended it: fasthttp's errors hide the cause.
type tap struct {
	from  io.Reader
	first []byte // at most ExcerptSize+1
	err   error
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.from.Read(b)
	if room := ExcerptSize + 1 - len(t.first); room > 0 {
		t.first = append(t.first, b[:min(n, room)]...)
	}
	if err != nil {
		t.err = err
	}
	return n, err
}
