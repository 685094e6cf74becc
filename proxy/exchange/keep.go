package exchange

// keptBody is the longest body that is kept to be sent a second time, in bytes as they go to the
// backend.
const keptBody = 64 << 10

// keep adds what is being forwarded to what can be forwarded again, or gives that up.
func (u *upload) keep(b []byte) {
	if !u.keeps {
		return
	}
	if len(u.kept)+len(b) > keptBody {
		u.keeps, u.kept = false, nil
		return
	}
	u.kept = append(u.kept, b...)
}

// passKept is pass for a body that is kept: what has come is taken in before any of it is sent, so
// that nothing is lost if the backend does not take it.
func (u *upload) passKept(b []byte) (rest []byte, err error) {
	var out []byte
	if !u.chunked {
		take := u.cut(b)
		out, b = append(out, b[:take]...), b[take:]
	}
	for u.chunked && len(b) > 0 && !u.body.Done() {
		run, n, err := u.scan(b)
		if err != nil {
			return nil, err
		}
		out, b = append(out, run...), b[n:]
	}
	if u.chunked && u.body.Done() {
		out = append(out, u.body.Tail()...)
	}
	u.keep(out)
	return b, u.backend.write(out, u.sendFor)
}

// rewind prepares the request to be sent again: its head and what has come of its body.
func (u *upload) rewind(w *work) {
	w.out = append(w.out[:u.head], u.kept...)
	u.ended = make(chan struct{})
	u.endedAt.Store(0)
	u.last.Store(false)
	u.complete = false
}

// repeatable reports whether all that has been forwarded can be forwarded again. While the body is
// still on its way that cannot be told.
func (u *upload) repeatable() bool { return (!u.running || u.endedAt.Load() != 0) && u.keeps }
