package handover

import (
	"encoding/json"
	"errors"
	"time"
)

// Taking is the side of the process that will serve.
type Taking struct {
	conn  *Conn
	offer Offer
}

// Take says hello and waits for the offer, whose descriptors are the caller's then. conn stays the
// caller's.
func Take(conn *Conn, h Hello) (*Taking, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if err := conn.send(kindHello, text, nil); err != nil {
		return nil, err
	}
	t := &Taking{conn: conn}
	for {
		m, err := conn.expect(kindOffer)
		if err != nil {
			t.discard()
			return nil, err
		}
		var part offered
		if err := m.decode(&part); err != nil || len(part.Sockets) != len(m.files) {
			m.closeFiles()
			t.discard()
			return nil, errors.Join(err, errors.New("the offer of the old process cannot be read"))
		}
		for i := range part.Sockets {
			part.Sockets[i].FD = m.files[i]
		}
		part.Sockets = append(t.offer.Sockets, part.Sockets...)
		t.offer = part.Offer
		if !part.More {
			return t, nil
		}
	}
}

// discard closes what was offered.
func (t *Taking) discard() {
	for _, s := range t.offer.Sockets {
		CloseAll([]int{s.FD})
	}
}

// Offer is what the giver has.
func (t *Taking) Offer() Offer { return t.offer }

// Prepared says that everything that can fail has been done, and which sockets will be used. The
// descriptors of the others must have been closed.
func (t *Taking) Prepared(used []int) error {
	return t.conn.send(kindPrepared, encode(prepared{used}), nil)
}

// Sections calls each with every piece of state, in the order in which it was sent, until the last. The
// descriptors of a section are that function's. An error ends it.
func (t *Taking) Sections(each func(Section) error) error {
	for {
		m, err := t.conn.expect(kindSection)
		if err != nil {
			return err
		}
		var s section
		if err := m.decode(&s); err != nil {
			m.closeFiles()
			return err
		}
		if s.Name == "" {
			m.closeFiles()
			return nil
		}
		if err := each(Section{s.Name, s.Body, m.files}); err != nil {
			return err
		}
	}
}

// Ready says that the state has been understood, and waits for leave to serve.
func (t *Taking) Ready() error {
	if err := t.conn.send(kindReady, nil, nil); err != nil {
		return err
	}
	_, err := t.conn.expect(kindGo)
	return err
}

// Serving says that this process serves.
func (t *Taking) Serving() error { return t.conn.send(kindServing, nil, nil) }

// Refuse tells the giver why this process does not go on.
func (t *Taking) Refuse(reason string) error {
	if err := t.conn.SetDeadline(time.Now().Add(refusalTime)); err != nil {
		return err
	}
	return t.conn.refuse(reason)
}

// deathTime is how long a process may take from closing its descriptors to its end.
const deathTime = 2 * time.Second

// GiverDead reports whether err means that the giver has died, and nobody serves: then whoever has its
// sockets had better. It waits a moment for one that is about to.
func (t *Taking) GiverDead(err error) bool {
	if !errors.Is(err, ErrGone) {
		return false
	}
	for end := time.Now().Add(deathTime); ; time.Sleep(time.Millisecond) {
		if !alive(t.offer.PID) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// AwaitEnd waits until the giver has closed the connection, for a moment at most: then it has told whom it
// concerns that another process serves.
func (t *Taking) AwaitEnd() {
	if err := t.conn.SetDeadline(time.Now().Add(refusalTime)); err == nil {
		_, _ = t.conn.receive() // nothing comes
	}
}
