package healthcheck

import (
	"bytes"
	"fmt"
)

// wantsReply reports whether the check says what is to come back.
func (r recipe) wantsReply() bool { return r.expect != nil || len(r.check.Expect.Literal) > 0 }

// wanted names the expectation.
func (r recipe) wanted() string {
	if r.expect != nil {
		return fmt.Sprintf("a reply that matches %q", r.expect.text)
	}
	return fmt.Sprintf("%q", r.hide(string(r.check.Expect.Literal)))
}

// met reports whether the reply so far is what was wanted. Without an expectation anything is.
func (r recipe) met(reply []byte) (bool, error) {
	if r.expect != nil {
		return r.expect.match(reply)
	}
	return bytes.Contains(reply, r.check.Expect.Literal), nil
}
