package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestParseOCSP reads responses that OpenSSL made.
func TestParseOCSP(t *testing.T) {
	raw, err := os.ReadFile("testdata/response.ocsp")
	if err != nil {
		t.Fatal(err)
	}
	answers, err := parseOCSP(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != 3 {
		t.Fatalf("%d answers, want 3", len(answers))
	}
	from := time.Date(2026, 11, 20, 11, 49, 56, 0, time.UTC)
	for i, a := range answers {
		if got, want := a.serial.Int64(), int64(0x1001+i); got != want || a.status != i {
			t.Errorf("serial %x, status %d, want %x, %d", got, a.status, want, i)
		}
		if !a.from.Equal(from) || !a.until.Equal(from.AddDate(0, 0, 7)) {
			t.Errorf("from %v until %v", a.from, a.until)
		}
		if got := hex.EncodeToString(a.issuerName); a.hash != crypto.SHA256 || !strings.HasPrefix(got, "235515d5729c68a1") {
			t.Errorf("%v of the issuer: %s", a.hash, got)
		}
	}
	if raw, err = os.ReadFile("testdata/forever.ocsp"); err != nil {
		t.Fatal(err)
	}
	if answers, err = parseOCSP(raw); err != nil || len(answers) != 1 || answers[0].hash != crypto.SHA1 || !answers[0].until.IsZero() {
		t.Fatalf("%+v, %v", answers, err)
	}
	if fault := answers[0].fault(from.AddDate(1, 0, 0)); fault != "" {
		t.Errorf("an answer without end: %s", fault)
	}
}

// respond makes a response about serial numbers of an issuer.
func respond(t testing.TB, c *x509.Certificate, status int, from, until time.Time) []byte {
	t.Helper()
	type certID struct {
		Hash   struct{ Algorithm asn1.ObjectIdentifier }
		Name   []byte
		Key    []byte
		Serial *big.Int
	}
	type single struct {
		ID         certID
		Status     asn1.RawValue
		ThisUpdate time.Time `asn1:"generalized"`
		NextUpdate time.Time `asn1:"generalized,explicit,tag:0"`
	}
	type data struct {
		Responder asn1.RawValue
		Produced  time.Time `asn1:"generalized"`
		Answers   []single
	}
	type body struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	name := sha256.Sum256(c.RawIssuer)
	id := certID{Name: name[:], Key: []byte("key"), Serial: c.SerialNumber}
	id.Hash.Algorithm = hashes[1].oid
	s := single{ID: id, Status: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: status}, ThisUpdate: from.UTC(), NextUpdate: until.UTC()}
	tbs := data{Responder: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, IsCompound: true, Bytes: marshal([]byte("key"))}, Produced: from.UTC(), Answers: []single{s}}
	return marshal(struct {
		Status asn1.Enumerated
		Body   body `asn1:"explicit,tag:0"`
	}{0, body{oidBasicResponse, marshal(struct{ Data data }{tbs})}})
}

// TestStaple has clients see a staple of the certificate that it speaks of, and only there.
func TestStaple(t *testing.T) {
	a := newAuthority(t, "Authority")
	o := Options{Certificates: []Pair{a.issue(t, "x", spec{names: []string{"x.example"}, serial: 7}), a.issue(t, "y", spec{names: []string{"y.example"}, serial: 8})}}
	now := time.Now()
	about := func(serial int64, issuer *authority) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), RawIssuer: issuer.cert.RawSubject}
	}
	good := respond(t, about(8, a), statusGood, now.Add(-time.Hour), now.Add(time.Hour))
	o.OCSP = a.write(t, "y.ocsp", good)
	i, warnings, err := New(o, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	s := serve(t, i.Config())
	shown := func(want []byte) {
		t.Helper()
		if got := s.mustDial(t, a.trusting("x.example")).OCSPResponse; got != nil {
			t.Errorf("x has a staple")
		}
		if got := s.mustDial(t, a.trusting("y.example")).OCSPResponse; !bytes.Equal(got, want) {
			t.Errorf("y has a staple of %d bytes, want %d", len(got), len(want))
		}
	}
	shown(good)
	tests := []struct {
		name     string
		response []byte
		warning  []string
	}{
		{"revoked", respond(t, about(8, a), statusRevoked, now.Add(-time.Hour), now.Add(time.Hour)), []string{"y.crt", "revoked", "replace"}},
		{"unknown", respond(t, about(8, a), 2, now.Add(-time.Hour), now.Add(time.Hour)), []string{"y.crt", "unknown", "responder"}},
		{"stale", respond(t, about(8, a), statusGood, now.Add(-2*time.Hour), now.Add(-time.Hour)), []string{"y.crt", "ended at", "again"}},
		{"early", respond(t, about(8, a), statusGood, now.Add(time.Hour), now.Add(2*time.Hour)), []string{"y.crt", "not valid before", "clock"}},
		{"another serial", respond(t, about(9, a), statusGood, now.Add(-time.Hour), now.Add(time.Hour)), []string{"y.ocsp", "none of the certificates"}},
		{"another issuer", respond(t, about(8, newAuthority(t, "Other")), statusGood, now.Add(-time.Hour), now.Add(time.Hour)), []string{"y.ocsp", "none of the certificates"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a.write(t, "y.ocsp", tt.response)
			if changed, err := i.Refresh(); !changed || err != nil {
				t.Error(changed, err)
			}
			shown(nil)
			warned(t, i.Warnings(), tt.warning...)
			a.write(t, "y.ocsp", good)
			if changed, err := i.Refresh(); !changed || err != nil {
				t.Error(changed, err)
			}
			shown(good)
		})
	}
	a.write(t, "y.ocsp", good[:len(good)/2])
	changed, err := i.Refresh()
	if changed {
		t.Error("half a staple is a change")
	}
	contains(t, err, "y.ocsp", "DER", "openssl ocsp")
	shown(good)
}

// TestStapleEnds drops a staple at the Refresh after its end, though no file has changed.
func TestStapleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "Authority")
		p := a.issue(t, "x", spec{names: []string{"x.example"}, serial: 7})
		until := time.Now().Add(time.Hour)
		about := &x509.Certificate{SerialNumber: big.NewInt(7), RawIssuer: a.cert.RawSubject}
		i := mustNew(t, Options{Certificates: []Pair{p}, OCSP: a.write(t, "x.ocsp", respond(t, about, statusGood, time.Now(), until))}, nil)
		for _, step := range []struct{ changed, stapled bool }{{false, true}, {true, false}, {false, false}} {
			if changed, err := i.Refresh(); changed != step.changed || err != nil {
				t.Errorf("changed %v, %v, want %v", changed, err, step.changed)
			}
			if c, _ := i.Set().Match("x.example"); (c.OCSPStaple != nil) != step.stapled {
				t.Errorf("a staple of %d bytes, want one %v", len(c.OCSPStaple), step.stapled)
			}
			time.Sleep(time.Hour)
		}
		warned(t, i.Warnings(), "x.ocsp", "ended at")
	})
}

// FuzzParseOCSP has the parser meet anything: what it accepts can be judged without a panic.
func FuzzParseOCSP(f *testing.F) {
	for _, name := range []string{"testdata/response.ocsp", "testdata/forever.ocsp"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0x30, 0x03, 0x0a, 0x01, 0x06}) // unauthorized
	f.Fuzz(func(t *testing.T, raw []byte) {
		answers, err := parseOCSP(raw)
		if (err == nil) != (len(answers) > 0) {
			t.Fatalf("%d answers with %v", len(answers), err)
		}
		s := &staple{raw: raw, answers: answers}
		s.about(&x509.Certificate{SerialNumber: big.NewInt(0x1001)})
		for _, a := range answers {
			a.fault(time.Unix(0, 0))
		}
	})
}
