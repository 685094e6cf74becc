package proxy

import (
	"bytes"
	"strconv"
	"testing"
)

// lastRequest is sent behind all that a test sends. Where a message has ended there, it is served and
// ends the connection; else it is a part of what came before.
const lastRequest = "GET /last HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n"

// clientRig is a server in front of a model origin.
type clientRig struct {
	*bytesRig
	o     *modelOrigin
	adorn bool // the site changes requests
}

func newClientRig(t testing.TB) *clientRig {
	t.Helper()
	o := newModelOrigin(t)
	return &clientRig{bytesRig: newBytesRig(t, o.TCP, "", ""), o: o}
}

// check sends input and judges what arrived and what came back. It returns what arrived.
func (b *clientRig) check(t testing.TB, input []byte, pieces int) []*arrival {
	t.Helper()
	b.o.forget()
	input = append(bytes.Clone(input), lastRequest...)
	answer, _ := b.exchange(t, input, pieces)
	arrivals, faults := b.o.books()
	for _, f := range faults {
		t.Errorf("the origin got %s", f)
	}
	v := &verdicts{TB: t, input: string(input), sent: readRequests(string(input)), arrivals: arrivals}
	for _, m := range v.sent {
		m.adorned = b.adorn
	}
	v.checkAnswers(answer)
	v.checkArrivals()
	if t.Failed() {
		t.Logf("the client sent %q\nand got %q", input, answer)
	}
	return arrivals
}

// verdicts compares what was sent with what arrived and with what was answered.
type verdicts struct {
	testing.TB
	input    string
	sent     []*modelRequest
	arrivals []*arrival
	of       map[int]int // by arrival: the request that got its response
}

// checkAnswers reads the responses. Each must be well-formed, and the response to the request in its
// place, or the last one, by which the proxy refuses.
func (v *verdicts) checkAnswers(answer string) {
	v.of = map[int]int{}
	for i := 0; answer != ""; {
		method := ""
		if i < len(v.sent) {
			method = v.sent[i].method
		}
		m, rest, r := responseOf(answer, method)
		if m == nil {
			if r == malformed {
				v.Errorf("a malformed response: %q", answer)
			}
			return
		}
		if why := m.ill(); why != "" {
			v.Errorf("response %d: %s: %q", i, why, answer)
		}
		mark := m.values("arrival")
		switch {
		case m.status < 200 && m.status != 101:
			answer = rest
			continue
		case len(mark) == 0 && (m.status == 200 || m.status == 308) && i < len(v.sent) && v.sent[i].endsHere():
		case len(mark) == 0 && m.status < 400:
			v.Errorf("response %d is nobody's: %q", i, answer)
		case len(mark) == 0 && m.lists("connection", "close"):
			return // with a body or without: nothing is behind it
		case len(mark) == 0:
		case i >= len(v.sent):
			v.Errorf("response %d to %d requests: %q", i, len(v.sent), answer)
		default:
			n, err := strconv.Atoi(mark[0])
			if err != nil || n >= len(v.arrivals) {
				v.Fatalf("response %d has the mark %q of %d arrivals", i, mark, len(v.arrivals))
			}
			if _, twice := v.of[n]; twice {
				v.Errorf("the response to arrival %d came twice", n)
			}
			v.of[n] = i
		}
		if m.status == 101 || r != whole {
			return
		}
		answer, i = rest, i+1
	}
}

// checkArrivals finds for each arrival the request that it was: in order, none twice, none that was
// not sent.
func (v *verdicts) checkArrivals() {
	next := 0
	for n, a := range v.arrivals {
		if a.modelRequest == nil {
			continue // it has its fault
		}
		i, answered := v.of[n]
		if !answered {
			i = next // cut off: whoever it was for
		}
		if i < next || i >= len(v.sent) {
			v.Errorf("arrival %d of %d requests: %q %q", n, len(v.sent), a.start, a.lines)
			return
		}
		why := v.sent[i].forwarded(a.modelRequest)
		for !answered && why != "" && i+1 < len(v.sent) {
			i++
			why = v.sent[i].forwarded(a.modelRequest)
		}
		if why != "" {
			v.Errorf("request %d arrived as something else: %s: %q %q %q", i, why, a.start, a.lines, a.content)
		}
		if next = i + 1; a.tunnel != "" {
			v.checkTunnel(v.sent[i], a)
			next = len(v.sent)
		}
	}
}

func (v *verdicts) checkTunnel(m *modelRequest, a *arrival) {
	if len(m.values("upgrade")) == 0 || !m.lists("connection", "upgrade") {
		v.Errorf("a tunnel that nobody asked for: %q", m.lines)
	}
	if behind := v.input[m.end:]; len(a.tunnel) > len(behind) || behind[:len(a.tunnel)] != a.tunnel {
		v.Errorf("the tunnel carried %q of %q", a.tunnel, behind)
	}
}

// FuzzClientBytes: whatever a client sends, the origin sees no request that it does not contain, and
// nothing that is not well-formed; the client gets the responses to its requests in order, or the end
// of its connection; and nothing is left behind.
func FuzzClientBytes(f *testing.F) {
	for _, tt := range clientBytes {
		f.Add([]byte(tt.in), uint8(1))
	}
	b := newClientRig(f)
	f.Fuzz(func(t *testing.T, input []byte, pieces uint8) {
		if len(input) > maxInput {
			t.Skip("longer than buffers are interested in")
		}
		b.check(t, input, int(pieces%8)+1)
	})
}

// TestClientBytes says of each seed how many requests arrive, so that it shows when all are refused.
func TestClientBytes(t *testing.T) {
	b := newClientRig(t)
	for _, tt := range clientBytes {
		t.Run(tt.name, func(t *testing.T) {
			for _, pieces := range []int{1, 2, 7, len(tt.in)} {
				arrived := 0
				for _, a := range b.check(t, []byte(tt.in), pieces) {
					if a.read == whole && a.target != "/last" {
						arrived++
					}
				}
				if arrived != tt.arrive && tt.arrive != either {
					t.Errorf("in %d pieces: %d requests arrived whole, want %d", pieces, arrived, tt.arrive)
				}
			}
		})
	}
}
