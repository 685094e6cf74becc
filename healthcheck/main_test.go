package healthcheck

import (
	"testing"

	"github.com/dlclark/regexp2"
	"go.uber.org/goleak"
)

// tests stops the clock of the backtracking engine, which would end by itself a second later.
type tests struct{ m *testing.M }

func (t tests) Run() int {
	code := t.m.Run()
	regexp2.StopTimeoutClock()
	return code
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }
