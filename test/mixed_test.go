package test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// wish is a request and what its answer has to be. The zero body stands for none.
type wish struct {
	method, path string
	header       map[string]string
	upload       []byte
	chunked      bool // the upload

	status int
	body   []byte
	check  func(*http.Response) error // nil: no more to check
}

// grant sends a wish and holds the answer against it, the body by its hash.
func (w wish) grant(client *http.Client, url string) error {
	var upload io.Reader
	if w.upload != nil {
		upload = bytes.NewReader(w.upload)
		if w.chunked {
			upload = io.MultiReader(upload) // hides the length
		}
	}
	request, err := http.NewRequest(w.method, url+w.path, upload)
	if err != nil {
		return err
	}
	for name, value := range w.header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var body io.Reader = response.Body
	if response.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			return err
		}
	}
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	if err != nil {
		return err
	}
	if want := sha256.Sum256(w.body); response.StatusCode != w.status || !bytes.Equal(sum.Sum(nil), want[:]) {
		return fmt.Errorf("got %s with %d bytes, want %d with %d", response.Status, n, w.status, len(w.body))
	}
	if w.check == nil {
		return nil
	}
	return w.check(response)
}

// hasField is a check for a field of the response.
func hasField(name, want string) func(*http.Response) error {
	return func(r *http.Response) error {
		if got := r.Header.Get(name); got != want {
			return fmt.Errorf("%s: got %q, want %q", name, got, want)
		}
		return nil
	}
}

// static are the wishes that every server of the files called sizes fulfils.
func static(n int, etags map[int]string) wish {
	size := sizes[n/8%len(sizes)]
	path, content := "/"+strconv.Itoa(size), noise(size)
	switch n % 8 {
	case 0:
		return wish{method: "HEAD", path: path, status: 200, check: func(r *http.Response) error {
			if r.ContentLength != int64(size) {
				return fmt.Errorf("length: got %d, want %d", r.ContentLength, size)
			}
			return nil
		}}
	case 1:
		return wish{method: "GET", path: path, header: map[string]string{"If-None-Match": etags[size]}, status: 304}
	case 2:
		from, to := size/3, size/2
		if from == to { // no range in so little
			break
		}
		return wish{method: "GET", path: path, header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", from, to-1)},
			status: 206, body: content[from:to], check: hasField("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))}
	}
	return wish{method: "GET", path: path, status: 200, body: content}
}

// noise is the first n bytes of data that does not repeat, so that a byte out of place shows.
func noise(n int) []byte { return allNoise()[:n:n] }

var allNoise = sync.OnceValue(func() []byte {
	b := make([]byte, 0, mib)
	for sum := sha256.Sum256([]byte("noise")); len(b) < mib; sum = sha256.Sum256(sum[:]) {
		b = append(b, sum[:]...)
	}
	return b
})

// TestMixedRequests sends 2,000 requests of every kind, eight at a time on kept connections, to nginx
// and as many to net/http: every body arrives whole, and most connections are used again.
func TestMixedRequests(t *testing.T) {
	t.Parallel()
	t.Run("nginx", func(t *testing.T) {
		n := startNginx(t)
		etags := map[int]string{}
		for _, size := range sizes {
			etags[size] = fetch(t, "HEAD", fmt.Sprintf("http://%s/%d", n.address, size), nil).header.Get("ETag")
		}
		testMixed(t, n.address, func(i int) wish {
			switch i % 8 {
			case 4:
				return wish{method: "GET", path: "/gzip/large.txt", header: map[string]string{"Accept-Encoding": "gzip"},
					status: 200, body: large, check: hasField("Content-Encoding", "gzip")}
			case 5:
				size := sizes[i/8%len(sizes)]
				return wish{method: "GET", path: fmt.Sprintf("/proxied/%d", size), status: 200, body: noise(size)}
			case 6, 7: // a file of its own, held against what was sent
				content := noise(sizes[i/8%len(sizes)])
				path := fmt.Sprintf("/upload/%d", i)
				return wish{method: "PUT", path: path, upload: content, chunked: i%8 == 7, status: 201, check: func(*http.Response) error {
					got, err := os.ReadFile(filepath.Join(n.files, path))
					if err == nil && !bytes.Equal(got, content) {
						err = fmt.Errorf("nginx got %d bytes, want %d", len(got), len(content))
					}
					return err
				}}
			}
			return static(i, etags)
		})
	})
	t.Run("net/http", func(t *testing.T) {
		b := lbtest.NewHTTP(t, "origin")
		b.SetHandler(http.HandlerFunc(originServes))
		etags := map[int]string{}
		for _, size := range sizes {
			etags[size] = etag(size)
		}
		testMixed(t, b.Addr().String(), func(i int) wish {
			size := sizes[i/8%len(sizes)]
			switch i % 8 {
			case 4:
				return wish{method: "GET", path: fmt.Sprintf("/sum/%d", size), status: 200, body: noise(size), check: func(r *http.Response) error {
					if got, want := r.Trailer.Get("X-Sum"), sumOf(noise(size)); got != want {
						return fmt.Errorf("trailer: got %q, want %q", got, want)
					}
					return nil
				}}
			case 5:
				return wish{method: "GET", path: fmt.Sprintf("/chunks/%d", size), status: 200, body: noise(size)}
			case 6, 7:
				return wish{method: "POST", path: "/", upload: noise(size), chunked: i%8 == 7, status: 200, body: noise(size)}
			}
			return static(i, etags)
		})
	})
}

func etag(size int) string { return fmt.Sprintf(`"v%d"`, size) }

func sumOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

// originServes is the web server on net/http: the files called sizes, with ranges and conditions, the
// same below /chunks/, and below /sum/ with the hash in a trailer. It sends a POST back.
func originServes(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body)
		return
	}
	folder, name := filepath.Split(r.URL.Path)
	size, err := strconv.Atoi(name)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	switch folder {
	case "/chunks/":
		r.URL.Path = "/" + name
		inChunks(w, r)
	case "/sum/":
		w.Header().Set("Trailer", "X-Sum")
		_, _ = w.Write(noise(size))
		w.(http.Flusher).Flush() // so that there is a trailer, however short the body is
		w.Header().Set("X-Sum", sumOf(noise(size)))
	default:
		w.Header().Set("ETag", etag(size))
		http.ServeContent(w, r, "noise.bin", time.Time{}, bytes.NewReader(noise(size)))
	}
}

// testMixed sends the wishes through weir to a backend, and shows some of those that it did not grant.
func testMixed(t *testing.T, backend string, of func(n int) wish) {
	t.Helper()
	const requests, clients = 2000, 8
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: { it: { address: %q } } } }
`, backend))
	d.awaitHealth("app", "it", "up")
	url := d.url("web")
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	var group sync.WaitGroup
	faults := make([]error, clients)
	for c := range clients {
		group.Go(func() {
			for i := c; i < requests; i += clients {
				// The kinds in turns for each client, or one would send uploads only.
				w := of(i + i/clients)
				if err := w.grant(client, url); err != nil {
					faults[c] = errors.Join(faults[c], fmt.Errorf("%d: %s %s %v: %w", i, w.method, w.path, w.header, err))
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(faults...); err != nil {
		t.Errorf("%d: %s", strings.Count(err.Error(), "\n")+1, tail(err.Error(), 5))
	}
	eventually(t, "all requests are counted", func() bool { return d.metric("weir_http_requests_total") >= requests })
	if got := d.metric("weir_http_outcomes_total", "outcome", "ok"); got != requests {
		t.Errorf("outcome ok: got %v, want %d", got, requests)
	}
	// net/http's client opens one more now and then while it waits for one that is used; nginx ends
	// a connection after 1,000 requests.
	if got := d.metric("weir_listener_connections_total"); got > 4*clients {
		t.Errorf("got %v connections of clients", got)
	}
	if got := d.metric("weir_backend_connections_total"); got > 4*clients {
		t.Errorf("got %v connections to the backend", got)
	}
}
