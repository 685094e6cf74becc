package wire

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestPipesAreBounded(t *testing.T) {
	budget := 5 // descriptors
	p := NewPipes(3, func(n int) bool {
		if budget < n {
			return false
		}
		budget -= n
		return true
	}, func(n int) { budget += n })
	a, b := p.Get(), p.Get()
	if a == nil || b == nil || p.Get() != nil || p.Open() != 2 {
		t.Fatalf("%d pipes of a budget for two", p.Open())
	}
	budget += 10
	c := p.Get()
	if c == nil || p.Get() != nil {
		t.Fatalf("%d pipes of a limit of three", p.Open())
	}
	p.Put(a)
	if got := p.Get(); got != a {
		t.Error("the pipe that came back was not used again")
	}
	p.Put(a)
	p.Put(b)
	p.Sweep() // both have been in use since they were made
	if p.Open() != 3 {
		t.Errorf("%d pipes after the first sweep, want 3", p.Open())
	}
	if got := p.Get(); got != b {
		t.Error("not the one that was used last")
	}
	p.Put(b)
	p.Sweep() // one was never needed
	if p.Open() != 2 {
		t.Errorf("%d pipes after the second sweep, want 2", p.Open())
	}
	p.Close()
	p.Put(c)
	if p.Open() != 0 || budget != 15 || p.Get() != nil {
		t.Errorf("%d pipes are open, %d descriptors left of 15", p.Open(), budget)
	}
}

// TestPipeWithBytesIsNotUsedAgain: what one relay has left in a pipe never comes out of another.
func TestPipeWithBytesIsNotUsedAgain(t *testing.T) {
	p := NewPipes(1, nil, nil)
	defer p.Close()
	a := p.Get()
	if _, err := unix.Write(a.in, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	a.held = len("secret")
	p.Put(a)
	if p.Open() != 0 {
		t.Error("it was kept")
	}
	b := p.Get()
	if n, err := unix.Read(b.out, make([]byte, 1)); err != unix.EAGAIN {
		t.Errorf("the next pipe gives %d bytes, %v", n, err)
	}
	p.Put(b)
}
