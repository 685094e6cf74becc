package handover

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// must ends the test on an error of an operation that is not what is tested.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair is both ends of a connection, which are closed with the test.
func pair(t testing.TB) (giver, taker *Conn) {
	t.Helper()
	giver, file, err := Pair()
	must(t, err)
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	must(t, err)
	must(t, file.Close())
	taker, err = Inherit(fd)
	must(t, err)
	for _, c := range []*Conn{giver, taker} {
		must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		t.Cleanup(func() {
			if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
	return giver, taker
}

// file is a descriptor of a file with a text.
func file(t testing.TB, text string) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	_, err = unix.Write(fd, []byte(text))
	must(t, err)
	return fd
}

// content reads a descriptor, and closes it.
func content(t testing.TB, fd int) string {
	t.Helper()
	b := make([]byte, 100)
	n, err := unix.Pread(fd, b, 0)
	must(t, err)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	must(t, err)
	if flags&unix.FD_CLOEXEC == 0 {
		t.Error("a descriptor goes to every child process")
	}
	must(t, unix.Close(fd))
	return string(b[:n])
}

// descriptors is how many this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

type state struct {
	Name string
	List []int
}

// Everything that is given comes, in order, with its descriptors: more sockets than one message carries,
// and large pieces of state.
func TestHandOver(t *testing.T) {
	ours, theirs := pair(t)
	const sockets, sections = MaxFiles + 7, 20
	offer := Offer{PID: os.Getpid(), Version: "1", Generation: 3, Wish: []byte("wish")}
	for i := range sockets {
		offer.Sockets = append(offer.Sockets, Socket{ID: i, Network: TCP, Listener: "web", FD: file(t, string(rune('a'+i%26)))})
	}
	large := make([]int, 20_000)
	for i := range large {
		large[i] = i * i
	}
	gave := make(chan error, 1)
	go func() {
		gave <- func() error {
			g, err := Give(ours)
			if err != nil {
				return err
			}
			if g.Taker() != (Hello{PID: 5, Version: "2"}) {
				t.Errorf("the taker is %+v", g.Taker())
			}
			used, err := g.Offer(offer)
			if err != nil {
				return err
			}
			if len(used) != 2 || used[0] != 1 || used[1] != 256 {
				t.Errorf("used: %v, want 1 and 256", used)
			}
			for i := range sections {
				if err := g.Section("part", state{string(rune('a' + i)), large}, []int{offer.Sockets[i].FD}); err != nil {
					return err
				}
			}
			return errors.Join(g.Ready(), g.Go())
		}()
	}()
	taking, err := Take(theirs, Hello{PID: 5, Version: "2"})
	must(t, err)
	got := taking.Offer()
	if got.Version != "1" || got.Generation != 3 || string(got.Wish) != "wish" || len(got.Sockets) != sockets {
		t.Fatalf("the offer is %s, %d, %q with %d sockets", got.Version, got.Generation, got.Wish, len(got.Sockets))
	}
	for i, s := range got.Sockets {
		if text := content(t, s.FD); s.ID != i || text != string(rune('a'+i%26)) {
			t.Fatalf("socket %d has number %d and is %q", i, s.ID, text)
		}
	}
	must(t, taking.Prepared([]int{1, 256}))
	n := 0
	must(t, taking.Sections(func(s Section) error {
		var part state
		must(t, s.Decode(&part))
		if s.Name != "part" || part.Name != string(rune('a'+n)) || len(part.List) != len(large) || part.List[777] != 777*777 || len(s.Files) != 1 {
			t.Fatalf("section %d: %s %q, %d numbers, %d files", n, s.Name, part.Name, len(part.List), len(s.Files))
		}
		if text := content(t, s.Files[0]); text != string(rune('a'+n%26)) {
			t.Errorf("section %d has file %q", n, text)
		}
		n++
		return nil
	}))
	if n != sections {
		t.Errorf("%d sections, want %d", n, sections)
	}
	must(t, taking.Ready())
	must(t, taking.Serving())
	must(t, <-gave)
}

// Whoever says no says why, at whatever step.
func TestRefusals(t *testing.T) {
	t.Run("the giver", func(t *testing.T) {
		ours, theirs := pair(t)
		go func() { _ = Refuse(ours, "not now") }()
		_, err := Take(theirs, Hello{})
		if r, ok := errors.AsType[*Refused](err); !ok || r.Reason != "not now" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the taker", func(t *testing.T) {
		ours, theirs := pair(t)
		before := descriptors(t)
		refused := make(chan struct{})
		go func() {
			defer close(refused)
			taking, err := Take(theirs, Hello{})
			if err == nil {
				CloseAll([]int{taking.Offer().Sockets[0].FD})
				_ = taking.Refuse("line 3 is wrong")
			}
		}()
		g, err := Give(ours)
		must(t, err)
		_, err = g.Offer(Offer{Sockets: []Socket{{FD: file(t, "x")}}})
		if err == nil || err.Error() != "line 3 is wrong" {
			t.Errorf("got %v", err)
		}
		<-refused
		if after := descriptors(t); after > before+1 { // that of file
			t.Errorf("%d descriptors are left", after-before-1)
		}
	})
	t.Run("after the end", func(t *testing.T) {
		ours, theirs := pair(t)
		must(t, theirs.Close())
		if _, err := Give(ours); !errors.Is(err, ErrGone) {
			t.Errorf("got %v, want ErrGone", err)
		}
	})
}

// A peer of another version is refused by both, in words that both understand.
func TestVersions(t *testing.T) {
	ours, theirs := pair(t)
	gave := make(chan error, 1)
	go func() {
		_, err := Give(ours)
		gave <- err
	}()
	hello := frame(kindHello, []byte(`{"pid": 1, "version": "9", "more": true}`), 0)
	hello[4] = Version + 1
	_, err := theirs.unix.Write(hello)
	must(t, err)
	if err := <-gave; err == nil || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("the giver: %v", err)
	}
	_, err = theirs.expect(kindOffer)
	if _, ok := errors.AsType[*Refused](err); !ok || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("the taker: %v", err)
	}
}

// frame is a message as bytes.
func frame(k kind, payload []byte, files int) []byte {
	b := append(magic[:], Version, byte(k), byte(files>>8), byte(files))
	return append(binary.BigEndian.AppendUint32(b, uint32(len(payload))), payload...)
}

// What a peer sends that it should not is an error, and leaves nothing open.
func TestNonsense(t *testing.T) {
	var gobbed bytes.Buffer
	must(t, gob.NewEncoder(&gobbed).Encode(offered{Offer: Offer{Sockets: []Socket{{ID: 1}}}}))
	tests := map[string][]byte{
		"another protocol":        []byte("GET / HTTP/1.1\r\n\r\n"),
		"another message":         frame(kindGo, nil, 0),
		"no message":              frame(kindOffer, []byte("nonsense"), 0),
		"too long":                append(frame(kindOffer, nil, 0)[:8], 0xff, 0xff, 0xff, 0xff),
		"too many descriptors":    frame(kindOffer, nil, MaxFiles+1),
		"descriptors are missing": frame(kindOffer, gobbed.Bytes(), 1),
		"a socket without one":    frame(kindOffer, gobbed.Bytes(), 0),
		"a refusal of no kind":    frame(kindRefusal, []byte("{"), 0),
		"half a header":           []byte("wei"),
		"half a payload":          frame(kindOffer, make([]byte, 100), 0)[:50],
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			ours, theirs := pair(t)
			go func() {
				_, _ = ours.unix.Write(text)
				_ = ours.unix.CloseWrite()
				_, _ = io.Copy(io.Discard, ours.unix)
			}()
			before := descriptors(t)
			if _, err := Take(theirs, Hello{}); err == nil {
				t.Error("it was taken for an offer")
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors are left", after-before)
			}
			must(t, theirs.Close())
		})
	}
}

// A giver that is dead is told apart from one that only says no more.
func TestGiverDead(t *testing.T) {
	child := exec.Command("sleep", "60")
	must(t, child.Start())
	taking := &Taking{offer: Offer{PID: child.Process.Pid}}
	if taking.GiverDead(errors.New("something else")) {
		t.Error("any error is taken for its death")
	}
	dead := make(chan bool, 1)
	go func() { dead <- taking.GiverDead(ErrGone) }()
	must(t, End(child.Process.Pid)) // a zombie is dead as well
	if !<-dead {
		t.Error("it is dead, and is taken to live")
	}
	_ = child.Wait()
	if err := End(1); err == nil {
		t.Error("process 1 may be ended")
	}
	if err := End(child.Process.Pid); err != nil {
		t.Errorf("a process that has ended: %v", err)
	}
}

func TestBound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		at, err := Bound(int(fd))
		if err != nil || at.String() != l.Addr().String() {
			t.Errorf("got %v, %v, want %v", at, err, l.Addr())
		}
	}))
	if _, err := Bound(1 << 20); err == nil {
		t.Error("a descriptor that is not open is bound")
	}
}

// FuzzReceive wants no panic, no hang and no descriptor left, whatever comes.
func FuzzReceive(f *testing.F) {
	var section bytes.Buffer
	must(f, gob.NewEncoder(&section).Encode(struct{ Name string }{"pools"}))
	for _, b := range [][]byte{nil, []byte("weir"), frame(kindSection, section.Bytes(), 0), frame(kindSection, section.Bytes(), 3),
		frame(kindRefusal, []byte(`{"reason":"no"}`), 0), frame(kindReady, nil, 0), append(frame(kindSection, section.Bytes(), 0), frame(kindSection, nil, 0)...)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<15 {
			return // more than a socket takes without a reader
		}
		ours, theirs := pair(t)
		_, err := ours.unix.Write(text)
		must(t, err)
		must(t, ours.unix.CloseWrite())
		taking := &Taking{conn: theirs}
		if err := taking.Sections(func(s Section) error {
			CloseAll(s.Files)
			var into state
			_ = s.Decode(&into)
			return nil
		}); err == nil && !bytes.Contains(text, []byte("weir")) {
			t.Error("nonsense came to an end without an error")
		}
	})
}
