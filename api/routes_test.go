package api

import (
	"maps"
	"slices"
	"testing"
)

// TestExplainIsDescribed: the parameters that are described are those that are read.
func TestExplainIsDescribed(t *testing.T) {
	var names []string
	for _, p := range explainDocs {
		names = append(names, p.name)
	}
	slices.Sort(names)
	if want := slices.Sorted(maps.Keys(explainParameters)); !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
