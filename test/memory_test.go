package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/lbtest"
)

const (
	gib = 1 << 30
	mib = 1 << 20
	// growth is how much resident memory a body may cost, however large it is.
	growth = 32 * mib
)

// memory reads a line of /proc/PID/status: VmRSS (resident memory) or VmHWM (its peak), in bytes.
func (d *daemon) memory(line string) int64 {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if fields := strings.Fields(l); len(fields) == 3 && fields[0] == line+":" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return kib * 1024
		}
	}
	d.t.Fatalf("no %s in /proc/PID/status", line)
	return 0
}

// wantBounded holds that the peak has not grown beyond what bodies may cost.
func (d *daemon) wantBounded(before int64) {
	d.t.Helper()
	grown := d.memory("VmHWM") - before
	d.t.Logf("resident memory: %d KiB before, peak %+d KiB", before/1024, grown/1024)
	if grown >= growth {
		d.t.Errorf("resident memory grew by %d MiB, want less than %d", grown/mib, growth/mib)
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// slowly lets three seconds pass while it reads three MiB, a MiB a second.
func slowly(in io.Reader) error {
	tick := time.NewTicker(time.Second / 16)
	defer tick.Stop()
	for range 3 * 16 {
		if _, err := io.CopyN(io.Discard, in, mib/16); err != nil {
			return err
		}
		<-tick.C
	}
	return nil
}

// tank is a backend with large bodies: GET /N sends N bytes; PUT takes what comes, slowly if asked
// for, and says how much it was. sent counts what it could send.
type tank struct {
	sent atomic.Int64
	slow chan error // what became of a slow PUT
}

func (k *tank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/slowly" {
		k.slow <- slowly(r.Body)
		return
	}
	if r.Method == http.MethodPut {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			_, _ = fmt.Fprint(w, n)
		}
		return
	}
	path, chunked := strings.CutPrefix(r.URL.Path, "/chunked")
	n, err := strconv.ParseInt(strings.TrimPrefix(path, "/"), 10, 64)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if !chunked {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	_, _ = io.Copy(counting{w, &k.sent}, io.LimitReader(zeros{}, n)) // an error: the client has gone
}

// counting counts what could be written. It hides everything else of the writer.
type counting struct {
	io.Writer
	n *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// startTank runs weir before a tank, warmed up.
func startTank(t *testing.T) (*daemon, *tank) {
	t.Helper()
	b, k := lbtest.NewHTTP(t, "tank"), &tank{slow: make(chan error, 1)}
	b.SetHandler(k)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s } }
`, listed(b)))
	// The first megabytes page in code and buffers.
	if n := download(t, d.url("web")+"/1048576"); n != mib {
		t.Fatalf("got %d bytes", n)
	}
	k.sent.Store(0)
	return d, k
}

// download fetches and counts.
func download(t *testing.T, url string) int64 {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("GET %s: status %d, %d bytes, %v", url, response.StatusCode, n, err)
	}
	return n
}

// upload sends a body of n bytes, of declared length or chunked, and returns how many arrived.
func upload(t *testing.T, url string, n int64, chunked bool) int64 {
	t.Helper()
	request, err := http.NewRequest(http.MethodPut, url, io.LimitReader(zeros{}, n))
	if err != nil {
		t.Fatal(err)
	}
	if !chunked {
		request.ContentLength = n
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	arrived, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		t.Fatalf("status %d: %q", response.StatusCode, text)
	}
	return arrived
}

// TestLargeBodies sends a GiB each way, and 256 MiB in chunks.
func TestLargeBodies(t *testing.T) {
	d, _ := startTank(t)
	url := d.url("web")
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	tests := []struct {
		name string
		size int64
		run  func() int64
	}{
		{"download", gib, func() int64 { return download(t, url+"/1073741824") }},
		{"upload", gib, func() int64 { return upload(t, url, gib, false) }},
		{"chunked download", 256 * mib, func() int64 { return download(t, url+"/chunked/268435456") }},
		{"chunked upload", 256 * mib, func() int64 { return upload(t, url, 256*mib, true) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := d.memory("VmRSS")
			began := time.Now()
			if n := tt.run(); n != tt.size {
				t.Errorf("got %d bytes, want %d", n, tt.size)
			}
			t.Logf("%.0f MiB/s", float64(tt.size/mib)/time.Since(began).Seconds())
			d.wantBounded(before)
		})
	}
}

// TestSlowReader reads a GiB at a MiB a second, for three seconds: what the client does not take, the
// backend must not be able to send, but for what the sockets between them hold.
func TestSlowReader(t *testing.T) {
	d, k := startTank(t)
	before := d.memory("VmRSS")
	conn := connect(t, d.address("web"))
	if _, err := io.WriteString(conn, "GET /1073741824 HTTP/1.1\r\nHost: tank\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := slowly(bufio.NewReaderSize(conn, mib/16)); err != nil {
		t.Fatal(err)
	}
	d.wantBounded(before)
	wantHeldBack(t, "the backend", k.sent.Load())
}

// TestSlowBackend is the same the other way: the backend reads, the client may not send ahead.
func TestSlowBackend(t *testing.T) {
	d, k := startTank(t)
	before := d.memory("VmRSS")
	conn := connect(t, d.address("web"))
	if _, err := io.WriteString(conn, "PUT /slowly HTTP/1.1\r\nHost: tank\r\nContent-Length: 1073741824\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	uploaded := make(chan error, 1)
	go func() {
		_, err := io.CopyN(counting{conn, &sent}, zeros{}, gib)
		uploaded <- err
	}()
	if err := <-k.slow; err != nil {
		t.Error(err)
	}
	d.wantBounded(before)
	wantHeldBack(t, "the client", sent.Load())
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-uploaded; err == nil {
		t.Error("the whole body was sent")
	}
}

// connect opens a bare connection for the test.
func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test may have closed it
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// wantHeldBack bounds what could be sent while three MiB were read. The kernel grows the buffers of
// loopback sockets to some MiB each (tcp_rmem, tcp_wmem), and there are two connections.
func wantHeldBack(t *testing.T, who string, sent int64) {
	t.Helper()
	t.Logf("%s sent %d KiB", who, sent/1024)
	if sent < 3*mib || sent > (3+64)*mib {
		t.Errorf("%s sent %d MiB while three were read", who, sent/mib)
	}
}
