package route

import (
	"slices"
	"strings"
	"testing"

	"weir/config"
	"weir/proxy/http1"
)

func TestHeaderChange(t *testing.T) {
	change := config.HeaderChange{
		Remove: []string{"X-Gone", "cookie"},
		Set:    []config.Header{{Name: "X-Set", Value: "new"}, {Name: "X-Empty", Value: ""}},
		Add:    []config.Header{{Name: "X-Added", Value: "2"}, {Name: "x-gone", Value: "back"}},
	}
	tests := []struct {
		name   string
		change config.HeaderChange
		lines  []string
		want   []string
	}{
		{"nothing", config.HeaderChange{}, []string{"A: 1", "X-Gone: 2"}, []string{"Host: a", "A: 1", "X-Gone: 2"}},
		{
			"everything", change,
			[]string{"x-gONE: 1", "A: 1", "X-Set: old", "Cookie: a", "X-Added: 1", "COOKIE: b", "x-set: older", "X-Setter: 1"},
			[]string{"Host: a", "A: 1", "X-Added: 1", "X-Setter: 1", "X-Set: new", "X-Empty: ", "X-Added: 2", "x-gone: back"},
		},
		{"host", config.HeaderChange{Set: []config.Header{{Name: "HOST", Value: "b:1"}}}, []string{"A: 1"}, []string{"A: 1", "HOST: b:1"}},
	}
	for _, tt := range tests {
		for _, target := range []string{"/", "http://a/"} {
			t.Run(tt.name+" "+target, func(t *testing.T) {
				c := newHeaderChange(tt.change)
				h := parseHead(t, "GET", target, tt.lines...)
				c.Drop(h)
				out := string(c.Append(http1.AppendRequest(nil, h)))
				got := strings.Split(strings.TrimSuffix(out, "\r\n"), "\r\n")[1:]
				if !slices.Equal(got, tt.want) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if string(h.Authority) != "a" {
					t.Errorf("the authority became %q", h.Authority)
				}
			})
		}
	}
}

func TestHeaderChangeSets(t *testing.T) {
	c := newHeaderChange(config.HeaderChange{
		Remove: []string{"A"}, Set: []config.Header{{Name: "X-B", Value: "1"}}, Add: []config.Header{{Name: "C", Value: "1"}},
	})
	if !c.sets("x-b") || c.sets("a") || c.sets("c") || c.sets("x-") {
		t.Errorf("sets x-b %v, a %v, c %v", c.sets("x-b"), c.sets("a"), c.sets("c"))
	}
}

func TestHeaderChangeAllocs(t *testing.T) {
	c := newHeaderChange(config.HeaderChange{Remove: []string{"A"}, Set: []config.Header{{Name: "Host", Value: "b"}}})
	h := parseHead(t, "GET", "/", "A: 1", "B: 2")
	dst := make([]byte, 0, 256)
	if allocs := testing.AllocsPerRun(100, func() { c.Drop(h); c.Append(dst) }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
