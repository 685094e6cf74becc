package wire

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A listening socket goes to another Listener, as to another process, with what waits in its queue.
func TestListenerGoesOnElsewhere(t *testing.T) {
	first, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := first.Accept()
		ended <- err
	}()
	if err := first.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrPaused) {
		t.Fatalf("Accept while paused: got %v, want ErrPaused", err)
	}
	client, err := net.Dial("tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := first.Accept(); !errors.Is(err, ErrPaused) {
		t.Fatalf("Accept while paused, with a client: got %v, want ErrPaused", err)
	}
	fd, err := first.Duplicate()
	if err != nil {
		t.Fatal(err)
	}
	second, err := AdoptListener(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.Addr() != first.Addr() {
		t.Errorf("address: got %v, want %v", second.Addr(), first.Addr())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Remote().String(); got != client.LocalAddr().String() {
		t.Errorf("client: got %s, want %s", got, client.LocalAddr())
	}
	for _, o := range accepted {
		if got, err := unix.GetsockoptInt(int(c.fd), o.level, o.name); err != nil || got != o.value {
			t.Errorf("option %d/%d of what was accepted: got %d, %v, want %d", o.level, o.name, got, err, o.value)
		}
	}
}

func TestListenerResumes(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(l.Pause(), l.Resume()); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestAdoptListenerRefuses(t *testing.T) {
	stream := func(t *testing.T) int {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	tests := []struct {
		name  string
		fd    func(*testing.T) int
		adopt func(int) error
	}{
		{"one that does not listen", stream, func(fd int) error { _, err := AdoptListener(fd); return err }},
		{"one of datagrams that is a stream", stream, func(fd int) error { _, err := AdoptUDPListener(fd); return err }},
		{"a unix socket", func(t *testing.T) int {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return fd
		}, func(fd int) error { _, err := AdoptListener(fd); return err }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fd := tt.fd(t)
			if err := tt.adopt(fd); err == nil {
				t.Error("it was taken")
			}
			if err := unix.Close(fd); !errors.Is(err, unix.EBADF) {
				t.Errorf("it was left open: %v", err)
			}
		})
	}
}

// What comes while nobody receives is there for the next.
func TestUDPListenerGoesOnElsewhere(t *testing.T) {
	first, err := ListenUDP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	batch := NewUDPBatch(4, true)
	go func() { ended <- first.Receive(batch, func(int) {}) }()
	if err := first.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrPaused) {
		t.Fatalf("Receive while paused: got %v, want ErrPaused", err)
	}
	client, err := net.Dial("udp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	fd, err := first.Duplicate()
	if err != nil {
		t.Fatal(err)
	}
	second, err := AdoptUDPListener(fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		ended <- second.Receive(batch, func(n int) {
			from := second.From(batch, 0)
			if rebuilt := UDPFromKey(from.Key()); rebuilt.Client() != from.Client() || rebuilt.Local() != from.Local() {
				t.Errorf("from its key: got %v, %v, want %v, %v", rebuilt.Client(), rebuilt.Local(), from.Client(), from.Local())
			}
			got <- string(batch.Payload(0))
		})
	}()
	select {
	case text := <-got:
		if text != "question" {
			t.Errorf("got %q", text)
		}
	case <-time.After(10 * time.Second):
		t.Error("the datagram is lost")
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
}
