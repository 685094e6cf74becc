package api

import "testing"

func TestProblemError(t *testing.T) {
	tests := []struct {
		problem Problem
		want    string
	}{
		{Problem{Title: "Not Found", Status: 404}, "Not Found"},
		{Problem{Title: "Not Found", Detail: "no pool web"}, "no pool web"},
		{Problem{Title: "Not Found", Detail: "no pool web", Hint: "see status"}, "no pool web; see status"},
		{Problem{Detail: "a.yaml:1: x\na.yaml is not valid.", Hint: "nothing changed"}, "a.yaml:1: x\na.yaml is not valid.\nnothing changed"},
	}
	for _, tt := range tests {
		if got := tt.problem.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
