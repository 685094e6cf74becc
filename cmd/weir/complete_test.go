package main

import (
	"slices"
	"testing"

	"weir/api"
)

// TestCompleteNames: a backend that is a name is offered as a whole, and by its addresses.
func TestCompleteNames(t *testing.T) {
	got := backendWords(api.Status{Pools: []api.PoolStatus{{
		Name:  "app",
		Names: []api.NameStatus{{Name: "w", Address: "app.example:80", State: "resolved"}},
		Backends: []api.BackendStatus{
			{Name: "w/10.0.0.1", Address: "10.0.0.1:80", Health: "up"}, {Name: "b1", Address: "10.0.0.2:80", Health: "down"},
		},
	}}})
	want := []string{"app/w\tapp.example:80 resolved", "app/w/10.0.0.1\t10.0.0.1:80 up", "app/b1\t10.0.0.2:80 down"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
