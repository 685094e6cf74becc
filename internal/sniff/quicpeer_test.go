package sniff

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// dial connects the client through the relay.
func (c *conversation) dial(t *testing.T, early bool, versions ...quic.Version) (*quic.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	config := &quic.Config{Versions: versions}
	if early {
		return c.client.DialEarly(ctx, c.front.LocalAddr(), c.tls, config)
	}
	return c.client.Dial(ctx, c.front.LocalAddr(), c.tls, config)
}

// packets walks through datagrams: every packet must be right. It returns them, one list for each
// datagram.
func packets(t *testing.T, datagrams [][]byte, idLen int) [][]Packet {
	t.Helper()
	all := [][]Packet{}
	for _, b := range datagrams {
		list, size := []Packet{}, 0
		for p, err := range QUICPackets(b, idLen) {
			if err != nil {
				t.Fatalf("%x: %v", b, err)
			}
			size += p.Size
			list = append(list, p)
		}
		if size != len(b) {
			t.Fatalf("%d bytes read of %d", size, len(b))
		}
		all = append(all, list)
	}
	return all
}

// kinds are the types that occur, each once, in ascending order.
func kinds(all [][]Packet) []PacketType {
	var found []PacketType
	for _, p := range slices.Concat(all...) {
		found = append(found, p.Type)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// checkIDs: every connection ID is one that its owner has made, but for the one that a client invents
// for a server whose IDs it does not know yet.
func (c *conversation) checkIDs(t *testing.T, toServer, toClient [][]Packet, version uint32) {
	t.Helper()
	invented := toServer[0][0].DCID
	if len(invented) < 8 {
		t.Errorf("a client invents an ID of %d bytes", len(invented))
	}
	for _, p := range slices.Concat(toServer...) {
		if !c.serverIDs.has(p.DCID) && !bytes.Equal(p.DCID, invented) || p.Type == Short && bytes.Equal(p.DCID, invented) {
			t.Errorf("to the server: %+v", p)
		}
		if p.Type != Short && (!c.clientIDs.has(p.SCID) || p.Version != version) || p.Small || !p.Fixed {
			t.Errorf("to the server: %+v", p)
		}
	}
	for _, p := range slices.Concat(toClient...) {
		if !c.clientIDs.has(p.DCID) || p.Type != Short && (!c.serverIDs.has(p.SCID) || p.Version != version) || !p.Fixed {
			t.Errorf("to the client: %+v", p)
		}
	}
}

// TestRealHandshakes reads what quic-go sends in both versions: types, versions and connection IDs,
// with packets coalesced.
func TestRealHandshakes(t *testing.T) {
	for _, version := range []quic.Version{quic.Version1, quic.Version2} {
		t.Run(version.String(), func(t *testing.T) {
			c := converse(t, false, version)
			conn, err := c.dial(t, false, version)
			if err != nil {
				t.Fatal(err)
			}
			echo(t, conn, 100_000)
			toServer := packets(t, c.toServer.all(), serverIDLen)
			toClient := packets(t, c.toClient.all(), clientIDLen)
			c.checkIDs(t, toServer, toClient, uint32(version))
			for _, all := range [][][]Packet{toServer, toClient} {
				if got := kinds(all); !slices.Equal(got, []PacketType{Short, Initial, Handshake}) {
					t.Errorf("types %v", got)
				}
				if !slices.ContainsFunc(all, func(list []Packet) bool { return len(list) > 1 }) {
					t.Error("no packets were coalesced")
				}
			}
		})
	}
}

// TestRealRetry: the token and the connection ID that the server asks for come back to it.
func TestRealRetry(t *testing.T) {
	for _, version := range []quic.Version{quic.Version1, quic.Version2} {
		t.Run(version.String(), func(t *testing.T) {
			c := converse(t, true, version)
			conn, err := c.dial(t, false, version)
			if err != nil {
				t.Fatal(err)
			}
			echo(t, conn, 1000)
			retry := packets(t, c.toClient.all(), clientIDLen)[0][0]
			if retry.Type != Retry || retry.Version != uint32(version) || len(retry.Token) == 0 || !c.clientIDs.has(retry.DCID) {
				t.Fatalf("got %+v", retry)
			}
			if !slices.ContainsFunc(packets(t, c.toServer.all(), serverIDLen), func(list []Packet) bool {
				p := list[0]
				return p.Type == Initial && bytes.Equal(p.Token, retry.Token) && bytes.Equal(p.DCID, retry.SCID)
			}) {
				t.Error("the token of the Retry was not read in an Initial")
			}
		})
	}
}

// TestRealVersionNegotiation: a server that does not know the version says which ones it does, with
// the connection IDs turned round.
func TestRealVersionNegotiation(t *testing.T) {
	c := converse(t, false, quic.Version1)
	conn, err := c.dial(t, false, quic.Version2)
	if _, ok := errors.AsType[*quic.VersionNegotiationError](err); !ok {
		t.Fatalf("got %v, %v", conn, err)
	}
	first := packets(t, c.toServer.all(), serverIDLen)[0][0]
	p := packets(t, c.toClient.all(), clientIDLen)[0][0]
	if p.Type != VersionNegotiation || !bytes.Equal(p.DCID, first.SCID) || !bytes.Equal(p.SCID, first.DCID) {
		t.Fatalf("got %+v after %+v", p, first)
	}
	if versions := slices.Collect(p.Versions.All()); !slices.Contains(versions, QUICv1) || slices.Contains(versions, QUICv2) {
		t.Errorf("versions %x", versions)
	}
}

// TestRealEarlyData: a client that comes back sends data with its first packets.
func TestRealEarlyData(t *testing.T) {
	for _, version := range []quic.Version{quic.Version1, quic.Version2} {
		t.Run(version.String(), func(t *testing.T) {
			c := converse(t, false, version)
			for range 2 {
				conn, err := c.dial(t, true, version)
				if err != nil {
					t.Fatal(err)
				}
				echo(t, conn, 1000)
			}
			if got := kinds(packets(t, c.toServer.all(), serverIDLen)); !slices.Equal(got, []PacketType{Short, Initial, ZeroRTT, Handshake}) {
				t.Errorf("types %v", got)
			}
		})
	}
}
