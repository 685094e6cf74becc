package handover

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Giving is the side of the process that serves.
type Giving struct {
	conn  *Conn
	taker Hello
}

// Give waits for the taker to say who it is. conn stays the caller's.
func Give(conn *Conn) (*Giving, error) {
	g := &Giving{conn: conn}
	m, err := conn.expect(kindHello)
	if err != nil {
		return nil, g.refuseUnheard(err)
	}
	m.closeFiles()
	if err := json.Unmarshal(m.payload, &g.taker); err != nil {
		return nil, g.refuseUnheard(fmt.Errorf("hello of the new process: %w", err))
	}
	// What it says of itself is for people; whom to end if it hangs, the kernel knows.
	return g, nil
}

// Taker is the process that takes over.
func (g *Giving) Taker() Hello { return g.taker }

// Offer sends the sockets, whose descriptors stay the caller's, and waits until the taker could start with
// them. used are the IDs of those that it will go on with.
func (g *Giving) Offer(o Offer) (used []int, err error) {
	all := o.Sockets
	for first := true; first || len(all) > 0; first = false {
		n := min(len(all), MaxFiles)
		part := offered{Offer: o, More: n < len(all)}
		part.Sockets = slices.Clone(all[:n])
		files := make([]int, n)
		for i := range part.Sockets {
			files[i], part.Sockets[i].FD = part.Sockets[i].FD, 0
		}
		if err := g.conn.send(kindOffer, encode(part), files); err != nil {
			return nil, g.refuseUnheard(err)
		}
		all = all[n:]
	}
	m, err := g.conn.expect(kindPrepared)
	if err != nil {
		return nil, g.refuseUnheard(err)
	}
	m.closeFiles()
	var p prepared
	if err := m.decode(&p); err != nil {
		return nil, g.refuseUnheard(err)
	}
	return p.Sockets, nil
}

// Section sends a piece of state with at most MaxFiles descriptors, which stay the caller's.
func (g *Giving) Section(name string, value any, files []int) error {
	return g.conn.send(kindSection, encode(section{name, encode(value)}), files)
}

// Ready says that all has been sent, and waits until the taker has understood it.
func (g *Giving) Ready() error {
	if err := g.conn.send(kindSection, encode(section{}), nil); err != nil {
		return err
	}
	_, err := g.conn.expect(kindReady)
	return err
}

// Go lets the taker serve, and waits until it does. After an error it may serve or not: it must be ended
// before anybody else does.
func (g *Giving) Go() error {
	if err := g.conn.send(kindGo, nil, nil); err != nil {
		return err
	}
	_, err := g.conn.expect(kindServing)
	return err
}

// Refuse tells the taker that it is not to go on.
func (g *Giving) Refuse(reason string) error {
	// Whoever hangs does not read; it will find the end of the connection.
	if err := g.conn.SetDeadline(time.Now().Add(refusalTime)); err != nil {
		return err
	}
	return g.conn.refuse(reason)
}

// Refuse tells a process that nobody will give it anything.
func Refuse(conn *Conn, reason string) error { return (&Giving{conn: conn}).Refuse(reason) }

// refusalTime bounds the wait of somebody who has nothing more to say.
const refusalTime = time.Second

// refuseUnheard tells the taker of an error and returns it. It may be that nobody is there any more.
func (g *Giving) refuseUnheard(err error) error {
	_ = g.Refuse(err.Error())
	return err
}
