package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
)

// disk is a directory that loses what was not synced when its machine crashes, and whose calls fail when
// they are told to.
type disk struct {
	random *rand.Rand
	fail   func(call string) error // nil: nothing fails

	names   map[string]*blob // as a process sees them
	durable map[string]*blob // as a crash leaves them
	calls   []string         // for the log of a test that fails
}

// blob is the content of a file: what a process sees, and the states that a crash may leave.
type blob struct {
	data   []byte
	synced []byte
}

func newDisk(random *rand.Rand) *disk {
	return &disk{random: random, names: map[string]*blob{}, durable: map[string]*blob{}}
}

func (d *disk) failing(call string) error {
	var err error
	if d.fail != nil {
		err = d.fail(call)
	}
	d.calls = append(d.calls, fmt.Sprint(call, " ", err))
	return err
}

// crash forgets what was not synced: of each file, any part of what was written since may be there; of
// names that have changed, either.
func (d *disk) crash() {
	for name, b := range d.names {
		if d.durable[name] != b && d.random.IntN(2) == 0 {
			d.durable[name] = b
		}
	}
	names := map[string]*blob{}
	for name, b := range d.durable {
		names[name] = &blob{data: d.left(b)}
		names[name].synced = names[name].data
	}
	d.names, d.durable = names, map[string]*blob{}
	for name, b := range names {
		d.durable[name] = b
	}
}

// left is what a crash leaves of a file.
func (d *disk) left(b *blob) []byte {
	switch {
	case len(b.data) > len(b.synced): // appended
		n := len(b.synced) + d.random.IntN(len(b.data)-len(b.synced)+1)
		left := append([]byte(nil), b.data[:n]...)
		if d.random.IntN(4) == 0 { // the length is there, the content is not
			left = append(left, make([]byte, len(b.data)-n)...)
		}
		return left
	case d.random.IntN(2) == 0:
		return append([]byte(nil), b.synced...)
	}
	return append([]byte(nil), b.data...)
}

func (d *disk) read(name string) ([]byte, error) {
	b := d.names[name]
	if b == nil {
		return nil, fs.ErrNotExist
	}
	return append([]byte(nil), b.data...), nil
}

func (d *disk) open(name string, size int64) (file, error) {
	if err := d.failing("open " + name); err != nil {
		return nil, err
	}
	b := d.names[name]
	if b == nil {
		if size != 0 {
			return nil, fs.ErrNotExist
		}
		b = &blob{}
		d.names[name] = b
	}
	if int64(len(b.data)) < size {
		return nil, errors.New("open: the file would grow")
	}
	b.data = b.data[:size:size]
	return &handle{d, b, name}, nil
}

func (d *disk) rename(from, to string) error {
	if err := d.failing("rename " + to); err != nil {
		return err
	}
	d.names[to] = d.names[from]
	delete(d.names, from)
	return nil
}

func (d *disk) sync() error {
	if err := d.failing("sync directory"); err != nil {
		return err
	}
	d.durable = map[string]*blob{}
	for name, b := range d.names {
		d.durable[name] = b
	}
	return nil
}

// handle is an open file.
type handle struct {
	disk *disk
	blob *blob
	name string
}

func (h *handle) Write(p []byte) (int, error) {
	if err := h.disk.failing("write " + h.name); err != nil {
		n := h.disk.random.IntN(len(p) + 1) // a part may be there
		h.blob.data = append(h.blob.data, p[:n]...)
		return n, err
	}
	h.blob.data = append(h.blob.data, p...)
	return len(p), nil
}

func (h *handle) Sync() error {
	if err := h.disk.failing("sync " + h.name); err != nil {
		return err
	}
	h.blob.synced = append([]byte(nil), h.blob.data...)
	return nil
}

func (h *handle) Truncate(size int64) error {
	if err := h.disk.failing("truncate " + h.name); err != nil {
		return err
	}
	if int64(len(h.blob.data)) < size {
		return errors.New("truncate: the file would grow")
	}
	h.blob.data = h.blob.data[:size:size]
	return nil
}

func (h *handle) Close() error { return nil }

// errFull is what a full disk says.
var errFull = error(syscall.ENOSPC)
