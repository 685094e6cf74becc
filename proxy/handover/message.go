package handover

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
)

// Hello is who a taker is.
type Hello struct {
	PID     int    `json:"pid"`
	Version string `json:"version"` // of the binary
}

// Offer is who the giver is, and what it has.
type Offer struct {
	PID        int
	Former     []int  // processes before it that have connections left
	Version    string // of the binary
	Generation uint64 // of the configuration in force
	Names      []byte // addresses of backends that are names, in JSON
	Wish       []byte // what is wanted beyond the files, as the store exports it
	Sockets    []Socket
}

// The networks of sockets.
const (
	TCP   = "tcp"
	UDP   = "udp"
	Unix  = "unix"  // the admin socket
	Admin = "admin" // the admin address
)

// Socket is a listening socket that is offered.
type Socket struct {
	ID       int // in the offer
	Network  string
	Listener string // that it serves; empty: none, at present
	Address  string // as configured
	// Activated says that the service manager has made it and keeps it open.
	Activated bool

	FD int `json:"-"` // of whoever has the struct at the moment
}

// Section is a piece of state.
type Section struct {
	Name  string
	Body  []byte // what Decode reads; empty: the end of all
	Files []int
}

// refusal is why one side does not go on.
type refusal struct {
	Reason string `json:"reason"`
}

// Refused is that the other side does not go on. Its text is for an operator.
type Refused struct{ Reason string }

func (e *Refused) Error() string { return e.Reason }

// prepared is what the taker uses.
type prepared struct{ Sockets []int }

// offered is a part of an offer.
type offered struct {
	Offer
	More bool
}

// section is the frame of a Section; without a name it is the end.
type section struct {
	Name string
	Body []byte
}

// encode packs a value. It panics if that cannot be: the types are ours.
func encode(v any) []byte {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		panic(fmt.Sprintf("handover: encode %T: %v", v, err))
	}
	return b.Bytes()
}

// Decode reads the body of a section into the value that it was made of, whose fields may be others since:
// they are matched by name.
func (s *Section) Decode(into any) error {
	if err := gob.NewDecoder(bytes.NewReader(s.Body)).Decode(into); err != nil {
		return fmt.Errorf("section %s: %w", s.Name, err)
	}
	return nil
}

// decode reads the payload of a message.
func (m *message) decode(into any) error {
	if err := gob.NewDecoder(bytes.NewReader(m.payload)).Decode(into); err != nil {
		return fmt.Errorf("message %d of the hand-over: %w", m.kind, err)
	}
	return nil
}

// expect waits for a message of one kind. A refusal is an error, and so is another version.
func (c *Conn) expect(k kind) (*message, error) {
	m, err := c.receive()
	if err != nil {
		return nil, err
	}
	if m.kind == kindRefusal {
		m.closeFiles()
		var r refusal
		if err := json.Unmarshal(m.payload, &r); err != nil {
			return nil, fmt.Errorf("a refusal that cannot be read: %w", err)
		}
		return nil, &Refused{r.Reason}
	}
	if m.version != Version {
		m.closeFiles()
		return nil, fmt.Errorf("one process speaks version %d of the hand-over, the other one version %d: stop the old process and start the new one", m.version, Version)
	}
	if m.kind != k {
		m.closeFiles()
		return nil, fmt.Errorf("message %d of the hand-over came where %d was due", m.kind, k)
	}
	return m, nil
}

// refuse tells the other side why.
func (c *Conn) refuse(reason string) error {
	text, err := json.Marshal(refusal{reason})
	if err != nil {
		return err
	}
	return c.send(kindRefusal, text, nil)
}
