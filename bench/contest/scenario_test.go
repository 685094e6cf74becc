package contest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestScenarioTable(t *testing.T) {
	var names []string
	for _, s := range Scenarios() {
		if slices.Contains(names, s.Name) {
			t.Errorf("%s is there twice", s.Name)
		}
		names = append(names, s.Name)
		if s.Summary == "" || s.Connections == 0 || s.Body == "" || s.Resume && !(s.TLS && s.Fresh) || s.TLS && s.Protocol != HTTP {
			t.Errorf("%s is not whole: %+v", s.Name, s)
		}
		if moved := max(len(s.Body), len(s.Upload)); s.MiB > 0 && moved != s.MiB*mib || s.MiB == 0 && moved != 200 {
			t.Errorf("%s moves %d bytes, and counts %d MiB", s.Name, moved, s.MiB)
		}
	}
	if len(message()) != messageSize {
		t.Errorf("a message has %d bytes, want %d", len(message()), messageSize)
	}
	// A piece of bulk that is doubled or moved would else go unnoticed.
	if piece := bulk(1)[:4096]; strings.Count(bulk(bulkMiB), piece) != 1 {
		t.Error("bulk repeats itself")
	}
}

func TestSelect(t *testing.T) {
	got, err := Select("tcp-rr, http1-1mib")
	if err != nil || len(got) != 2 || got[0].Name != "tcp-rr" || got[1].Name != "http1-1mib" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Select("all"); err != nil || len(got) != len(Scenarios()) {
		t.Errorf("got %d scenarios, %v, want all", len(got), err)
	}
	for _, names := range []string{"", "x", "tcp-rr,x"} {
		if _, err := Select(names); err == nil || !strings.Contains(err.Error(), "choose from http1-keepalive, ") {
			t.Errorf("%q: got %v", names, err)
		}
	}
}

// TestEachScenario has every contestant that is there do every kind of work for a moment.
func TestEachScenario(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			o := short()
			o.Contestants, o.Scenario, o.Weir = nil, s.Name, "/nonexistent/weir"
			o.Rounds, o.Duration = 1, 200*time.Millisecond
			r, err := Compare(t.Context(), o)
			// On a machine that is busy with other things a moment may be too short for one exchange.
			for err != nil && strings.Contains(err.Error(), "no request was answered") && o.Duration < 10*time.Second {
				o.Duration *= 4
				r, err = Compare(t.Context(), o)
			}
			alone(t)
			if err != nil && strings.Contains(err.Error(), "no contestant takes part") {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, turn := range r.Turns {
				if turn.Requests == 0 || turn.CPUMicros <= 0 {
					t.Errorf("got %+v", turn)
				}
			}
			if r.Unit != s.Unit() || len(r.Turns)+len(r.Absent) < 4 {
				t.Errorf("got unit %s, %d turns and absent %v, want all contestants accounted for", r.Unit, len(r.Turns), r.Absent)
			}
		})
	}
}

// TestVerifyMessage asks the origin itself, and wants something else of it.
func TestVerifyMessage(t *testing.T) {
	for _, name := range []string{"tcp-rr", "tcp-connect", "udp-rr"} {
		o := short()
		o.Scenario = name
		o, s, err := o.resolved()
		if err != nil {
			t.Fatal(err)
		}
		a, err := newArena(t.Context(), o, s)
		if err != nil {
			t.Fatal(err)
		}
		c := candidate{scenario: s, plan: plan{listen: a.backends[0]}}
		if err := c.verifyMessage(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.scenario.Body = strings.Repeat("other", 40)
		if err := c.verifyMessage(t.Context()); err == nil || !strings.Contains(err.Error(), "got the reply \"Weirs") {
			t.Errorf("%s: got %v", name, err)
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
		alone(t)
	}
}

// TestJudgeFiles has contestants that judge their configuration.
func TestJudgeFiles(t *testing.T) {
	o, s, err := short().resolved()
	if err != nil {
		t.Fatal(err)
	}
	a, err := newArena(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	says := func(name, script string) entrant {
		return entrant{path: "/bin/sh", contestant: contestant{name: name, prepare: func(plan) setup {
			return setup{files: map[string]string{"conf": "x"}, check: []string{"-c", script}}
		}}}
	}
	silent := entrant{contestant: contestant{name: Floor, prepare: prepareFloor}}
	able, refused, err := a.judgeFiles(t.Context(), []entrant{
		says("fine", "exit 0"), silent, says("young", "echo error: listeners.web.protocol tcp is not supported by this version; exit 1"),
	})
	if err != nil || len(able) != 2 || able[0].name != "fine" || able[1].name != Floor {
		t.Errorf("got %v, %v, want those without a complaint", able, err)
	}
	if len(refused) != 1 || refused[0].Name != "young" || !strings.Contains(refused[0].Reason, "protocol tcp is not supported") {
		t.Errorf("got refused %v", refused)
	}
	_, _, err = a.judgeFiles(t.Context(), []entrant{says("broken", "echo error: nonsense; exit 1")})
	if err == nil || !strings.Contains(err.Error(), "error: nonsense") {
		t.Errorf("got %v, want what it says", err)
	}
}

// TestLoadOptions sees that the generator is told all that makes a scenario what it is.
func TestLoadOptions(t *testing.T) {
	for _, s := range Scenarios() {
		a := arena{scenario: s, options: Options{Connections: 5, Rate: 7}}
		o := a.loadOptions(candidate{plan: plan{listen: netip.MustParseAddrPort("127.0.0.1:81")}})
		want := s.scheme() + "://127.0.0.1:81" + s.Path
		if o.URL != want || o.Fresh != s.Fresh || o.Resume != s.Resume || o.Connections != 5 || o.Rate != 7 {
			t.Errorf("%s: got %+v", s.Name, o)
		}
		if (o.TLS != nil) != s.TLS || (o.CheckTLS != nil) != s.TLS || (o.Check != nil) != (s.Protocol == HTTP) {
			t.Errorf("%s: got TLS %v, and checks of it %v and of bodies %v", s.Name, o.TLS != nil, o.CheckTLS != nil, o.Check != nil)
		}
		if s.Protocol != HTTP && (string(o.Reply) != s.Body || string(o.Body) != smallBody) || s.Upload != "" && string(o.Body) != s.Upload {
			t.Errorf("%s: sends %d bytes and wants %d", s.Name, len(o.Body), len(o.Reply))
		}
	}
}

func TestCheckTLS(t *testing.T) {
	own := []byte("own")
	good := tls.ConnectionState{
		Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519,
		PeerCertificates: []*x509.Certificate{{Raw: bytes.Clone(own)}},
	}
	if err := checkTLS(own)(good); err != nil {
		t.Error(err)
	}
	tests := []struct {
		change func(*tls.ConnectionState)
		want   string
	}{
		{func(s *tls.ConnectionState) { s.Version = tls.VersionTLS12 }, "got TLS 1.2"},
		{func(s *tls.ConnectionState) { s.CipherSuite = tls.TLS_AES_256_GCM_SHA384 }, "got the cipher TLS_AES_256"},
		{func(s *tls.ConnectionState) { s.CurveID = tls.X25519MLKEM768 }, "got the group X25519MLKEM768"},
		{func(s *tls.ConnectionState) { s.PeerCertificates = []*x509.Certificate{{Raw: []byte("x")}} }, "another certificate"},
		{func(s *tls.ConnectionState) { s.PeerCertificates = nil }, "another certificate"},
	}
	for _, tt := range tests {
		s := good
		tt.change(&s)
		if err := checkTLS(own)(s); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestWriteCertificate(t *testing.T) {
	dir := t.TempDir()
	der, err := writeCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil || c.PublicKeyAlgorithm != x509.ECDSA || c.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("got %v, %v", c, err)
	}
	for _, files := range [][2]string{{certFile, keyFile}, {bothFile, bothFile}} {
		if _, err := tls.LoadX509KeyPair(dir+"/"+files[0], dir+"/"+files[1]); err != nil {
			t.Errorf("%v: %v", files, err)
		}
	}
	if _, err := writeCertificate(dir + "/nonexistent"); err == nil {
		t.Error("got no error for a folder that is not there")
	}
}
