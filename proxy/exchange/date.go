package exchange

import (
	"net/http"
	"sync/atomic"
	"time"
)

// dateLine is the Date line of a response, written once a second so that responses need no clock. The
// zero value is ready. Any goroutine may use it.
type dateLine struct{ text atomic.Pointer[string] }

// set makes the line say now.
func (d *dateLine) set(now time.Time) {
	text := dateText(now)
	if old := d.text.Load(); old == nil || *old != text {
		d.text.Store(&text)
	}
}

// append writes the line. Where nobody keeps it up to date, it says what the clock does.
func (d *dateLine) append(dst []byte) []byte {
	if text := d.text.Load(); text != nil {
		return append(dst, *text...)
	}
	return append(dst, dateText(time.Now())...)
}

func dateText(t time.Time) string { return "Date: " + t.UTC().Format(http.TimeFormat) + "\r\n" }
