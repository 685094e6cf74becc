package api

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"weir/config"
)

func TestExplainQueryRoundTrip(t *testing.T) {
	q := ExplainQuery{
		Listener: "web", Protocol: "https", Client: netip.MustParseAddrPort("[2001:db8::1]:7"),
		Destination: netip.MustParseAddrPort("10.0.0.1:443"), Method: "PUT", Host: "a.example", Path: "/x?y=%20&z",
		Headers: []config.Header{{Name: "Cookie", Value: "a=b; c=d"}, {Name: "X", Value: ""}}, SNI: "a.example", ALPN: []string{"h2", "http/1.1"},
		CID: []byte{1, 0xff}, If: []Supposition{{"web", "b1", "down"}, {"web", "b/2", "drain"}, {"api", "b3", "maintenance"}},
	}
	got, err := explainQuery(&url.URL{RawQuery: q.Values().Encode()})
	if err != nil || !reflect.DeepEqual(got, q) {
		t.Errorf("got %+v, %v, want %+v", got, err, q)
	}
}

func TestExplainQueryRefuses(t *testing.T) {
	tests := map[string]string{
		"lisener=web": `"lisener": is not known`, "host=a&host=b": `"host": is given too often`, "client=me": `"client": "me" is not`,
		"dst=10.0.0.1:x": `"dst"`, "cid=0g": `"cid"`, "header=x": `"header"`, "header=:x": `"header"`, "down=web": `"down": "web" is not POOL/BACKEND`,
		"drain=/b": `"drain"`, "a=%zz": "not well formed",
	}
	for text, want := range tests {
		if _, err := explainQuery(&url.URL{RawQuery: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestServeExplain(t *testing.T) {
	s := start(t, func(o *Options) {
		o.Explain = func(q ExplainQuery) (Explanation, error) {
			if q.Listener != "web" {
				return Explanation{}, errors.New("there is no such listener")
			}
			return Explanation{Result: "to " + q.Path, Outcome: "backend"}, nil
		}
	})
	url := "http://" + s.Addr() + "/v1/explain?"
	r, body := ask(t, overTCP(), http.MethodGet, url+"listener=web&path=/a", "localhost")
	if e := decode[Explanation](t, body); r.StatusCode != 200 || e.Result != "to /a" {
		t.Errorf("got %d %s", r.StatusCode, body)
	}
	for query, status := range map[string]int{"listener=x": 400, "x=y": 400, "a=%zz": 400} {
		r, body := ask(t, overTCP(), http.MethodGet, url+query, "localhost")
		if p := decode[Problem](t, body); r.StatusCode != status || p.Status != status || p.Detail == "" {
			t.Errorf("%s: got %d %s", query, r.StatusCode, body)
		}
	}
}

func FuzzExplainQuery(f *testing.F) {
	f.Add("listener=web&client=[::1]:5&dst=1.2.3.4:5&header=a:b&down=a/b&cid=00ff&alpn=h2")
	f.Add("client=::1&header=x&protocol=udp")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := explainQuery(&url.URL{RawQuery: text})
		if err != nil {
			return
		}
		again, err := explainQuery(&url.URL{RawQuery: q.Values().Encode()})
		if err != nil || again.Client != q.Client || len(again.Headers) != len(q.Headers) || len(again.If) != len(q.If) {
			t.Fatalf("%q: got %+v, %v, want %+v", text, again, err, q)
		}
	})
}
