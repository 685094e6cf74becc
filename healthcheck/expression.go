package healthcheck

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"
)

// backtrackLimit bounds one match of the backtracking engine.
const backtrackLimit = 100 * time.Millisecond

// errBacktrack says that a match took longer than backtrackLimit.
var errBacktrack = fmt.Errorf("expression took longer than %v", backtrackLimit)

// The documented example of Oracle's health checks, `^((?!false).|\s)*$`, says in a roundabout way
// that something does not occur. Taken literally it needs look-around, which Go's engine lacks, and
// it backtracks exponentially in runs of white space, which both of its branches match.
const (
	absentPrefix = `^((?!`
	absentSuffix = `).|\s)*$`
)

// expression is a compiled regular expression for bodies and replies. It is safe for concurrent
// use.
type expression struct {
	text   string // as written
	linear *regexp.Regexp
	absent bool // linear must not match
	// backtracking is used for what Go's engine refuses; nil: linear is set.
	backtracking *regexp2.Regexp
}

// compileExpression compiles text, in order of preference: by Go's engine, in linear time; the
// idiom ^((?!X).|\s)*$, for any X that Go's engine accepts, as "X does not occur"; by a
// backtracking engine that knows look-around and back-references. The error is that of Go's engine,
// which users know, unless text uses what only the other engine has.
func compileExpression(text string) (*expression, error) {
	re, err := regexp.Compile(text)
	if err == nil {
		return &expression{text: text, linear: re}, nil
	}
	if x, ok := absentIdiom(text); ok {
		return &expression{text: text, linear: x, absent: true}, nil
	}
	quickenClock()
	back, backErr := regexp2.Compile(text, regexp2.RE2)
	if backErr != nil {
		return nil, errors.Join(err, backErr)
	}
	back.MatchTimeout = backtrackLimit
	return &expression{text: text, backtracking: back}, nil
}

// absentIdiom returns the X of ^((?!X).|\s)*$. That X compiles on its own proves that the idiom's
// parentheses enclose the whole of it.
func absentIdiom(text string) (*regexp.Regexp, bool) {
	x, ok := strings.CutPrefix(text, absentPrefix)
	if !ok {
		return nil, false
	}
	if x, ok = strings.CutSuffix(x, absentSuffix); !ok || x == "" {
		return nil, false
	}
	re, err := regexp.Compile(x)
	return re, err == nil
}

// quickenClock lets the backtracking engine look at the time every 10 ms. Its default of 100 ms
// would stretch backtrackLimit to 300 ms. Its clock is global, and ours is the only use of it.
var quickenClock = sync.OnceFunc(func() { regexp2.SetTimeoutCheckPeriod(10 * time.Millisecond) })

// match reports whether the expression is found in b. The error is errBacktrack.
func (e *expression) match(b []byte) (bool, error) {
	if e.linear != nil {
		return e.linear.Match(b) != e.absent, nil
	}
	found, err := e.backtracking.MatchString(string(b))
	if err != nil {
		// The only error there is is the time-out, and its text quotes all of b.
		return false, errBacktrack
	}
	return found, nil
}
