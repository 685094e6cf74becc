package config

import (
	"errors"
	"io"
	"testing"
)

func TestObjectError(t *testing.T) {
	tests := []struct {
		name   string
		origin Origin
		want   string
	}{
		{"of a file", Origin{File: "/etc/weir.yaml", Line: 3, Column: 5}, "/etc/weir.yaml:3:5: listeners.web: EOF"},
		{"of the API", Origin{File: "api", API: true}, "listeners.web: EOF"},
		{"of nobody", Origin{}, "listeners.web: EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := &ObjectError{"listeners.web", tt.origin, io.EOF}
			if err.Error() != tt.want || !errors.Is(err, io.EOF) {
				t.Errorf("got %q, want %q", err, tt.want)
			}
		})
	}
}
