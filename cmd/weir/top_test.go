package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/api"
)

// busy is a status of n backends; each has had so many flows.
func busy(n int, flows uint64) api.Status {
	s := api.Status{Version: "1.2.3", PID: 7, UptimeSeconds: 90, Generation: 4, Ready: true,
		Listeners: []api.ListenerStatus{{Name: "web", Protocol: "http", Addresses: []string{"127.0.0.1:80"}, ConnectionsActive: 3, ConnectionsTotal: flows}}}
	p := api.PoolStatus{Name: "app", Up: n}
	for i := range n {
		p.Backends = append(p.Backends, api.BackendStatus{Name: fmt.Sprintf("b%d", i), Health: "up", State: "ready", Eligible: true,
			Weight: 1, EffectiveWeight: 1, Picks: flows * uint64(i), Reason: strings.Repeat("very long ", 20)})
	}
	s.Pools = []api.PoolStatus{p}
	return s
}

func textsOf(lines []line) (list []string) {
	for _, l := range lines {
		list = append(list, l.text)
	}
	return list
}

func TestPictureOrderAndRates(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 2, 0, time.UTC)
	p := picture{now: now, status: busy(4, 30), before: busy(3, 10), since: now.Add(-2 * time.Second)}
	p.status.Pools[0].Backends[0].Health = "down"
	p.status.Pools[0].Backends[1].State = "drain"
	lines, err := p.lines()
	if err != nil {
		t.Fatal(err)
	}
	got := textsOf(lines)
	if want := "weir 1.2.3  pid 7  up 1m30s  generation 4  4/4 backends up  ready"; got[0] != want {
		t.Errorf("got %q, want %q", got[0], want)
	}
	if f := strings.Fields(got[3]); f[0] != "web" || f[3] != "10" {
		t.Errorf("listener: got %q", got[3])
	}
	// Down first, then draining, then the others, the busiest of them first; b3 is new and has no rate.
	want := []struct{ name, rate, colour string }{{"app/b0", "0", red}, {"app/b1", "10", cyan}, {"app/b2", "20", ""}, {"app/b3", "-", ""}}
	for i, w := range want {
		l := lines[6+i]
		if f := strings.Fields(l.text); f[0] != w.name || f[5] != w.rate || l.colour != w.colour {
			t.Errorf("row %d: got %q in %q, want %+v", i, l.text, l.colour, w)
		}
	}
	p.fault = "nobody\nanswers"
	if lines, err = p.lines(); err != nil || lines[1].text != "no answer: nobody answers" || strings.Fields(lines[8].text)[5] != "-" {
		t.Errorf("without an answer: got %q %q, %v", lines[1].text, lines[8].text, err)
	}
	p.status.Ready = false
	if lines, err = p.lines(); err != nil || lines[0].colour != red || !strings.Contains(lines[0].text, "NOT READY") {
		t.Errorf("not ready: got %+v, %v", lines[0], err)
	}
}

func TestRate(t *testing.T) {
	now := time.Unix(100, 0)
	tests := []struct {
		was, is uint64
		known   bool
		since   time.Time
		want    string
	}{
		{0, 0, true, now.Add(-time.Second), "0"}, {10, 11, true, now.Add(-2 * time.Second), "0.5"}, {0, 2500, true, now.Add(-2 * time.Second), "1250"},
		{5, 3, true, now.Add(-time.Second), ""}, {0, 5, false, now.Add(-time.Second), ""}, {0, 5, true, time.Time{}, ""}, {0, 5, true, now, ""},
	}
	for _, tt := range tests {
		p := picture{now: now, since: tt.since}
		if got := p.rate(tt.was, tt.is, tt.known); got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}

// A picture fits into the terminal, whatever is in it, and its heading stays.
func TestFrameFits(t *testing.T) {
	p := picture{now: time.Now(), status: busy(60, 5)}
	lines, err := p.lines()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range [][2]int{{80, 24}, {20, 5}, {200, 100}, {1, 1}} {
		width, height := size[0], size[1]
		for _, scroll := range []int{-5, 0, 10, 1000} {
			picture, at := frame(lines, width, height, scroll, false)
			text := strings.NewReplacer(home, "", eraseLine, "", eraseRest, "").Replace(string(picture))
			rows := strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n")
			if len(rows) > height || at < 0 || at > max(0, len(lines)-height) {
				t.Fatalf("%v, scroll %d: %d rows, scrolled to %d", size, scroll, len(rows), at)
			}
			for _, r := range rows {
				if len([]rune(r)) > width {
					t.Fatalf("%v: a row of %d columns: %q", size, len([]rune(r)), r)
				}
			}
			if width == 80 && !strings.HasPrefix(rows[0], "weir 1.2.3") {
				t.Errorf("%v, scroll %d: the heading is %q", size, scroll, rows[0])
			}
			if scroll == 1000 && height == 24 && !strings.HasPrefix(rows[23], "app/b59 ") {
				t.Errorf("the last row is %q", rows[23])
			}
		}
	}
}

func TestFrameColours(t *testing.T) {
	lines := []line{{"one", red}, {"two", ""}}
	if picture, _ := frame(lines, 80, 24, 0, true); !strings.Contains(string(picture), red+"one"+noColor) {
		t.Errorf("got %q", picture)
	}
	if picture, _ := frame(lines, 80, 24, 0, false); strings.Contains(string(picture), red) {
		t.Errorf("got %q", picture)
	}
}

func TestKeys(t *testing.T) {
	for text, want := range map[string]int{"q": keyQuit, "\x03": keyQuit, "\x1b": keyQuit, "\x1b[A": keyUp, "\x1bOB": keyDown, "\x1b[5~": keyPageUp, " ": keyPageDown, "x": keyOther} {
		if got := keyOf(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	s := &screen{height: 24}
	if s.scrolled(keyUp) != -1 || s.scrolled(keyPageDown) != 21 || s.scrolled(keyOther) != 0 {
		t.Error("the keys scroll otherwise")
	}
}
