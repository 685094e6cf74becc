package certs

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func keyOf(b byte) []byte { return bytes.Repeat([]byte{b}, ticketKeyBytes) }

// sessions is a client of each version that remembers its last session.
func (a *authority) sessions(name string) []*tls.Config {
	var all []*tls.Config
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := a.trusting(name)
		c.MaxVersion, c.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		all = append(all, c)
	}
	return all
}

// resumes has each client connect and checks whether all resume, or none.
func resumes(t *testing.T, s *server, clients []*tls.Config, want bool) {
	t.Helper()
	for _, c := range clients {
		if got := s.mustDial(t, c).DidResume; got != want {
			t.Errorf("%s: resumed %v, want %v", tls.VersionName(c.MaxVersion), got, want)
		}
	}
}

// TestResumeAfterRefresh resumes sessions of before a new certificate, with keys of our own.
func TestResumeAfterRefresh(t *testing.T) {
	a := newAuthority(t, "Authority")
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}}, nil)
	s, clients := serve(t, i.Config()), a.sessions("a.example")
	resumes(t, s, clients, false)
	resumes(t, s, clients, true)
	a.issue(t, "a", spec{names: []string{"a.example"}})
	if changed, err := i.Refresh(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	resumes(t, s, clients, true)
}

// TestResumeAtNewIdentity resumes where the keys allow it and nowhere else.
func TestResumeAtNewIdentity(t *testing.T) {
	a := newAuthority(t, "Authority")
	pairs := []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}
	with := func(keys ...[]byte) Options { return Options{Certificates: pairs, TicketKeys: keys} }
	x, y := []byte(hex.EncodeToString(keyOf('x'))), []byte(base64.StdEncoding.EncodeToString(keyOf('y')))
	file := a.write(t, "keys", fmt.Appendf(nil, "# the first encrypts\n%s\n\n %s \r\n", y, x))
	filed := Options{Certificates: pairs, TicketFiles: []string{file}}
	both := Options{Certificates: pairs, TicketKeys: [][]byte{keyOf('z')}, TicketFiles: []string{file}}
	tests := []struct {
		name          string
		before, after Options
		handed        bool // the one before is given to New
		want          bool
	}{
		{"own keys, handed over", with(), with(), true, true},
		{"own keys, not handed over", with(), with(), false, false},
		{"the same keys, as in another process", with(x), with(x), false, true},
		{"the same keys, handed over", with(x), with(x), true, true},
		{"rotated", with(x), with(y, x), false, true},
		{"rotated, by a file", with(x), filed, false, true},
		{"raw in one, in hex in the other", with(keyOf('x')), with(x), false, true},
		{"by a key before a file", both, with(keyOf('z')), false, true},
		{"in another process that has not rotated", with(y, x), with(x), false, false},
		{"replaced", with(x), with(y), true, false},
		{"given", with(), with(x), true, false},
		{"taken away", with(x), with(), true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clients := a.sessions("a.example")
			before := mustNew(t, tt.before, nil)
			resumes(t, serve(t, before.Config()), clients, false)
			if !tt.handed {
				before = nil
			}
			resumes(t, serve(t, mustNew(t, tt.after, before).Config()), clients, tt.want)
		})
	}
}

// TestKeysOutliveManyReloads hands own keys over twice, with a Refresh between.
func TestKeysOutliveManyReloads(t *testing.T) {
	a := newAuthority(t, "Authority")
	o := Options{Certificates: []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}}
	first := mustNew(t, o, nil)
	clients := a.sessions("a.example")
	resumes(t, serve(t, first.Config()), clients, false)
	second := mustNew(t, o, first)
	a.issue(t, "a", spec{names: []string{"a.example"}})
	if changed, err := second.Refresh(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	third := mustNew(t, o, second)
	resumes(t, serve(t, third.Config()), clients, true)
	resumes(t, serve(t, first.Config()), clients, true) // which still drains
}

// TestRefreshOfTicketKeys rotates a file of keys; a bad one keeps the old.
func TestRefreshOfTicketKeys(t *testing.T) {
	a := newAuthority(t, "Authority")
	file := a.write(t, "ticket.key", keyOf('x')) // raw
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}, TicketFiles: []string{file}}, nil)
	s, clients := serve(t, i.Config()), a.sessions("a.example")
	resumes(t, s, clients, false)
	x, y, z := hex.EncodeToString(keyOf('x')), hex.EncodeToString(keyOf('y')), hex.EncodeToString(keyOf('z'))
	refresh := func(content string, changed bool) error {
		t.Helper()
		a.write(t, "ticket.key", []byte(content))
		got, err := i.Refresh()
		if got != changed {
			t.Errorf("changed %v, want %v (%v)", got, changed, err)
		}
		return err
	}
	if err := refresh(x, false); err != nil { // the same key in hex
		t.Error(err)
	}
	contains(t, refresh("garbage", false), "ticket_keys", file, "line 1")
	resumes(t, s, clients, true)
	if err := refresh(y+"\n"+x, true); err != nil {
		t.Error(err)
	}
	resumes(t, s, clients, true) // by x, and gets a ticket by y
	if err := refresh(y, true); err != nil {
		t.Error(err)
	}
	resumes(t, s, clients, true)
	if err := refresh(z, true); err != nil {
		t.Error(err)
	}
	resumes(t, s, clients, false)
}

// TestOwnKeysRotate finds that keys of our own still decrypt after days, and no longer after a week.
func TestOwnKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeper := ticketKeys(nil).keeper(time.Now())
		session, err := tls.ParseSessionState([]byte("\x03\x03\x01\xc0\x2f" + strings.Repeat("\x00", 8) + "\x01s" + strings.Repeat("\x00", 13)))
		if err != nil {
			t.Fatal(err)
		}
		ticket, err := keeper.config.EncryptTicket(tls.ConnectionState{}, session)
		if err != nil {
			t.Fatal(err)
		}
		opens := func(ticket []byte) bool {
			got, err := keeper.config.DecryptTicket(ticket, tls.ConnectionState{})
			return got != nil && err == nil
		}
		if !opens(ticket) {
			t.Fatal("a fresh ticket does not open")
		}
		time.Sleep(30 * time.Hour)
		keeper.rotate(time.Now())
		newer, err := keeper.config.EncryptTicket(tls.ConnectionState{}, session)
		if err != nil || !opens(newer) || !opens(ticket) {
			t.Fatal("a ticket of yesterday does not open", err)
		}
		time.Sleep(6 * 24 * time.Hour)
		keeper.rotate(time.Now())
		if opens(ticket) {
			t.Error("a key lives for more than a week")
		}
		if !opens(newer) {
			t.Error("a key of six days is gone")
		}
	})
}

// TestOwnKeysInAnotherProcess hands keys of our own to an identity that knows nothing of the first, and has
// them rotated there by a refresh.
func TestOwnKeysInAnotherProcess(t *testing.T) {
	a := newAuthority(t, "Authority")
	o := Options{Certificates: []Pair{a.issue(t, "a", spec{names: []string{"a.example"}})}}
	first := mustNew(t, o, nil)
	clients := a.sessions("a.example")
	resumes(t, serve(t, first.Config()), clients, false)
	second := mustNew(t, o, nil)
	keys := first.TicketKeys()
	keys[0].Made = keys[0].Made.Add(-ticketRotation)
	second.RememberTicketKeys(keys)
	if _, err := second.Refresh(); err != nil {
		t.Fatal(err)
	}
	if got := second.TicketKeys(); len(got) != 2 || got[1].Key != keys[0].Key || got[0].Key == keys[0].Key {
		t.Errorf("after a day there are %d keys, want a new one before that of the first process", len(got))
	}
	resumes(t, serve(t, second.Config()), clients, true)

	given := o
	given.TicketKeys = [][]byte{keyOf('x')}
	third := mustNew(t, given, nil)
	third.RememberTicketKeys(keys)
	if len(third.TicketKeys()) != 0 {
		t.Error("keys of the configuration are handed over")
	}
	resumes(t, serve(t, third.Config()), clients, false)
}

func TestFaultyTicketKeys(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := dir + "/" + name
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	x := hex.EncodeToString(keyOf('x'))
	tests := []struct {
		name string
		keys []string
		file string
		want []string
	}{
		{"short", []string{x[2:]}, "", []string{"ticket_keys[0]", "32 bytes", "hex or base64", "openssl rand"}},
		{"empty", []string{x, ""}, "", []string{"ticket_keys[1]", "32 bytes"}},
		{"long", []string{x, x + "00"}, "", []string{"ticket_keys[1]", "32 bytes"}},
		{"not hex", []string{"g" + x[1:]}, "", []string{"ticket_keys[0]", "32 bytes"}},
		{"no file", nil, dir + "/ticket.key", []string{"/ticket.key", "create it"}},
		{"folder", nil, dir, []string{dir, "not a regular file"}},
		{"empty file", nil, write("empty", "\n# none\n"), []string{"/empty", "holds no key", "openssl rand"}},
		{"bad line", nil, write("bad", "#\n"+x+"\n"+x[1:]+"\n"), []string{"/bad", "line 3", "32 bytes"}},
		{"nginx's 48 bytes", nil, write("nginx", strings.Repeat("z", 48)), []string{"/nginx", "line 1", "32 bytes"}},
		{"twice", []string{x, strings.ToUpper(x)}, "", []string{"key 2", "twice"}},
		{"in a file too", []string{x}, write("again", x), []string{"key 2", "twice"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var keys [][]byte
			for _, k := range tt.keys {
				keys = append(keys, []byte(k))
			}
			var files []string
			if tt.file != "" {
				files = append(files, tt.file)
			}
			_, err := readTicketKeys(keys, files)
			contains(t, err, tt.want...)
			if strings.Contains(err.Error(), x[4:20]) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

// FuzzTicketKey has every key be found again in each of its forms, and nothing else be a key.
func FuzzTicketKey(f *testing.F) {
	f.Add([]byte(hex.EncodeToString(keyOf(0xfb))))
	f.Add([]byte(base64.URLEncoding.EncodeToString(keyOf(0xfb))))
	f.Add(keyOf(0xfb))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == ticketKeyBytes {
			for _, form := range []string{hex.EncodeToString(text), base64.StdEncoding.EncodeToString(text), base64.URLEncoding.EncodeToString(text)} {
				if got, ok := parseTicketKey([]byte(form)); !ok || !bytes.Equal(got[:], text) {
					t.Fatalf("%q does not give its key: %x, %v", form, got, ok)
				}
			}
		}
		key, ok := parseTicketKey(text)
		if !ok {
			return
		}
		forms := []string{hex.EncodeToString(key[:]), base64.StdEncoding.EncodeToString(key[:]), base64.URLEncoding.EncodeToString(key[:])}
		if s := string(text); s != forms[1] && s != forms[2] && strings.ToLower(s) != forms[0] {
			t.Fatalf("%q passes for a key", text)
		}
	})
}
