package sniff

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// errSeen ends a handshake once the hello was looked at.
var errSeen = errors.New("seen")

// reader is a connection on which one side has said all that it will.
type reader struct {
	net.Conn
	in *bytes.Reader
}

func (r *reader) Read(p []byte) (int, error)       { return r.in.Read(p) }
func (r *reader) Write(p []byte) (int, error)      { return len(p), nil }
func (r *reader) Close() error                     { return nil }
func (r *reader) SetDeadline(time.Time) error      { return nil }
func (r *reader) SetWriteDeadline(time.Time) error { return nil }

// facts is what crypto/tls reads in a hello; nil if it refuses it.
func facts(b []byte) *tls.ClientHelloInfo {
	var info *tls.ClientHelloInfo
	config := &tls.Config{
		MinVersion: tls.VersionTLS10,
		GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			info = i
			return nil, errSeen
		},
	}
	// It ends in errSeen, or in the error that leaves info nil.
	_ = tls.Server(&reader{in: bytes.NewReader(b)}, config).Handshake()
	return info
}

// capture returns what a client of crypto/tls sends first.
func capture(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- tls.Client(client, config).Handshake() }()
	defer func() {
		server.Close()
		if err := <-done; err == nil {
			t.Error("a handshake without a server ended well")
		}
		client.Close()
	}()
	head := make([]byte, recordHead)
	if _, err := io.ReadFull(server, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(server, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// helloOf builds a ClientHello message around extensions; without any, there is no list of them.
func helloOf(extensions ...[]byte) []byte {
	body := concat(bytes16(0x0303), make([]byte, 32), vector8([]byte("session")), vector16(bytes16(0x1301, 0x0a0a)), vector8([]byte{0}))
	if len(extensions) > 0 {
		body = append(body, vector16(extensions...)...)
	}
	return message(typeHello, body)
}

// message puts the head of a handshake message in front of its body.
func message(kind byte, body []byte) []byte {
	n := len(body)
	return append([]byte{kind, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// extensionOf is one extension.
func extensionOf(kind uint16, data []byte) []byte { return concat(bytes16(kind), vector16(data)) }

// names is a server_name extension.
func names(list ...string) []byte {
	entries := []byte{}
	for _, name := range list {
		entries = append(entries, concat([]byte{typeHostName}, vector16([]byte(name)))...)
	}
	return extensionOf(extensionServerName, vector16(entries))
}

// alpn is an ALPN extension.
func alpn(list ...string) []byte {
	entries := []byte{}
	for _, name := range list {
		entries = append(entries, vector8([]byte(name))...)
	}
	return extensionOf(extensionALPN, vector16(entries))
}

// records cuts a message into records of the given sizes; the last one takes the rest.
func records(message []byte, sizes ...int) []byte {
	b := []byte{}
	for _, size := range append(sizes, len(message)) {
		size = min(size, len(message))
		if size == 0 {
			break
		}
		b = append(b, typeHandshake, 3, 1)
		b = append(b, vector16(message[:size])...)
		message = message[size:]
	}
	return b
}
