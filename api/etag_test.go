package api

import (
	"fmt"
	"testing"
	"time"
)

// What is no list of tags matches nothing: a condition that is not understood does not hold. A change that
// had one must not be made as if it had none.
func TestConditionsThatAreNone(t *testing.T) {
	g := newRig(t, nil)
	g.do("PUT", "/v1/pools/api", aPool).must(t, 201)
	for _, field := range []string{"", " ", ",", `"a", *`, "*, *", "W/*", `"*"`, "0123456789abcdef"} {
		patch := fmt.Sprintf(`{"meta": {"at": "%d"}}`, time.Now().UnixNano())
		if a := g.do("PATCH", "/v1/pools/api", patch, "If-Match: "+field); a.status != 412 {
			t.Errorf("If-Match %q: got %d, want 412", field, a.status)
		}
	}
	for _, field := range []string{"", ",", `"a", *`, "W/*"} {
		g.do("GET", "/v1/pools/api", "", "If-None-Match: "+field).must(t, 200)
	}
}
