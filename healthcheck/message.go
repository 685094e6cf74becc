package healthcheck

import (
	"fmt"
	"time"
)

// outcome is all that the line about a probe is made of.
type outcome struct {
	probe         Probe
	before, after State
	count         int           // results in a row against before
	threshold     int           // of those that are needed
	lasted        time.Duration // of before
	sinceOK       time.Duration // since the last good probe; 0: there was none
	repeated      int           // failures of a backend that was down already
	quiet         bool          // this one of them is not worth a line
	unchecked     time.Duration // how long there were no checks until this one
	again         bool          // say that there was this one
}

// explain is the reason for a state: what was sent, what came back, what was wanted, n of n.
func (o outcome) explain() string {
	return fmt.Sprintf("%s, %d of %d", o.probe.Reason, o.count, o.threshold)
}

// message is the line for the log; empty if there is nothing new.
func (o outcome) message(k Key) string {
	line := o.verdict(k)
	switch {
	case !o.again:
		return line
	case line == "":
		return fmt.Sprintf("%s checked again after %s: %s; its state stays %s",
			k, brief(o.unchecked), o.probe.Reason, o.after)
	}
	return line + "; checked again after " + brief(o.unchecked)
}

// verdict says what the probe meant.
func (o outcome) verdict(k Key) string {
	switch {
	case o.before != o.after:
		return fmt.Sprintf("%s %s: %s%s", k, o.after, o.explain(), o.history())
	case o.probe.OK && o.after == Up:
		return ""
	case o.probe.OK:
		return fmt.Sprintf("%s still down: %s before up", k, o.explain())
	case o.after == Up:
		return fmt.Sprintf("%s still up: %s before down%s", k, o.explain(), o.history())
	}
	if o.quiet {
		return ""
	}
	times := ""
	if o.repeated > 1 {
		times = fmt.Sprintf(" (%d times)", o.repeated)
	}
	return fmt.Sprintf("%s still down%s: %s%s", k, times, o.probe.Reason, o.history())
}

// uncheckedMessage says that nothing is known anew.
func uncheckedMessage(k Key, cause string, s State) string {
	return fmt.Sprintf("%s not checked: %s here; its state stays %s", k, cause, s)
}

// history says how long things were different.
func (o outcome) history() string {
	switch {
	case o.before == Checking:
		return ", first probe"
	case o.probe.OK:
		return ", down for " + brief(o.lasted)
	case o.sinceOK > 0:
		return ", last ok " + brief(o.sinceOK) + " ago"
	}
	return ", never ok"
}
