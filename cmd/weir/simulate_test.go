package main

import (
	"strings"
	"testing"

	"weir/balancer/sim"
)

// TestScriptOfHelp: what the help of simulate shows is a script.
func TestScriptOfHelp(t *testing.T) {
	_, text, found := strings.Cut(newSimulate().Long, "optional:\n")
	if !found {
		t.Fatal("no script")
	}
	script, err := sim.ParseScript([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if script.Duration == 0 || script.Rate == 0 || script.Clients == 0 || script.Service == 0 || len(script.Services) == 0 ||
		script.Interval == 0 || script.Seed == 0 || len(script.Events) != 6 {
		t.Errorf("got %+v, want every key", script)
	}
}
