package api

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestSocketModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	path := filepath.Join(dir, "admin.sock")
	s, err := listenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{path: 0o660, dir: 0o750} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s: got %v, want %v", name, got, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there after close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestSocketReplacesStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := listenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("nobody answers on the new socket: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSocketOneWins: of many that find the socket of a dead process, one gets it, and clients reach that one.
func TestSocketOneWins(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "s")
		dead, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		dead.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := dead.Close(); err != nil {
			t.Fatal(err)
		}
		won := make(chan *socket, 8)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range cap(won) {
			all.Go(func() {
				<-begin
				s, err := listenSocket(path)
				if err == nil {
					won <- s
				} else if !strings.Contains(err.Error(), "in use by a running process") {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d have bound the socket, want 1", len(won))
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("nobody can reach the one that won: %v", err)
		}
		if err := errors.Join(c.Close(), (<-won).Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSocketLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	used := filepath.Join(dir, "used.sock")
	l, err := net.Listen("unix", used)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	datagrams := filepath.Join(dir, "datagrams.sock")
	packets, err := net.ListenPacket("unixgram", datagrams)
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	tests := []struct{ name, path, want string }{
		{"another kind of socket", datagrams, "not certain that nobody uses it"},
		{"somebody answers", used, "in use by a running process"},
		{"not a socket", file, "is not a socket"},
		{"too long", filepath.Join(dir, strings.Repeat("x", 120)), "choose a shorter path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := listenSocket(tt.path)
			if err == nil {
				t.Fatal("bound, want an error", s.Close())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want it to contain %q", err, tt.want)
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file was touched: %q, %v", text, err)
	}
	if c, err := net.Dial("unix", used); err != nil {
		t.Errorf("the other socket is gone: %v", err)
	} else if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestSocketOfSuccessor: a process that closes late must not remove the socket of the next one.
func TestSocketOfSuccessor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	old, err := listenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next, err := listenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the successor's socket is gone: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSocketMode: a socket that anybody could open is not served.
func TestSocketMode(t *testing.T) {
	for mode, ok := range map[os.FileMode]bool{0o660: true, 0o666: false, 0o777: false, 0o640: false} {
		if err := checkMode("admin.sock", os.ModeSocket|mode); (err == nil) != ok {
			t.Errorf("%v: got %v", mode, err)
		}
	}
}
