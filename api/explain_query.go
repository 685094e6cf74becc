package api

import (
	"encoding/hex"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"weir/config"
)

// explainParameters are those of GET /v1/explain.
var explainParameters = []parameter{
	{"listener", "Name of the listener. Absent: the one that has `dst`; it may be left out where there is one listener only."},
	{"protocol", "Protocol of the listener, where several have the `dst`."},
	{"client", "Address of the client, IP or IP:PORT."},
	{"dst", "Address that the client connects to, IP:PORT; of 0.0.0.0 the port alone counts. Absent: the first one of the listener."},
	{"method", "Method of the request. Absent: GET."},
	{"host", "Host of the request."},
	{"path", "Target of the request with its query. Absent: /."},
	{"header", "A field of the request, `NAME: VALUE`. May be given several times."},
	{"sni", "Server name that a TLS client asks for."},
	{"alpn", "A protocol that it offers. May be given several times."},
	{"cid", "Connection ID of a QUIC packet, in hexadecimal."},
	{"down", "POOL/BACKEND that is supposed to be down. May be given several times."},
	{"drain", "POOL/BACKEND that is supposed to drain. May be given several times."},
	{"maintenance", "POOL/BACKEND that is supposed to be in maintenance. May be given several times."},
}

// maxExplained bounds the values of a query, each kind for itself.
const maxExplained = 128

func (s *Server) serveExplain(w http.ResponseWriter, r *http.Request) error {
	q, err := explainQuery(r.URL)
	if err != nil {
		return err
	}
	explanation, err := s.options.Explain(q)
	if err != nil {
		return problem(http.StatusBadRequest, err.Error(), "")
	}
	writeJSON(w, http.StatusOK, explanation)
	return nil
}

// Values is the query of GET /v1/explain that asks q.
func (q ExplainQuery) Values() url.Values {
	v := url.Values{}
	add := func(name, value string) {
		if value != "" {
			v.Add(name, value)
		}
	}
	add("listener", q.Listener)
	add("protocol", q.Protocol)
	if q.Client.IsValid() {
		add("client", q.Client.String())
	}
	if q.Destination.IsValid() {
		add("dst", q.Destination.String())
	}
	add("method", q.Method)
	add("host", q.Host)
	add("path", q.Path)
	add("sni", q.SNI)
	add("cid", hex.EncodeToString(q.CID))
	for _, h := range q.Headers {
		add("header", h.Name+": "+h.Value)
	}
	for _, name := range q.ALPN {
		add("alpn", name)
	}
	for _, s := range q.If {
		add(s.State, s.Pool+"/"+s.Backend)
	}
	return v
}

// explainQuery reads the parameters: the reverse of Values.
func explainQuery(u *url.URL) (q ExplainQuery, err error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return q, problem(http.StatusBadRequest, "the query is not well formed: "+err.Error(), "encode special characters like %20")
	}
	repeated := []string{"header", "alpn", "down", "drain", "maintenance"}
	for name, list := range values {
		known := slices.ContainsFunc(explainParameters, func(p parameter) bool { return p.name == name })
		switch {
		case !known:
			return q, badParameter(name, "is not known", "see /openapi.json")
		case len(list) > 1 && !slices.Contains(repeated, name), len(list) > maxExplained:
			return q, badParameter(name, "is given too often", "give it once")
		}
	}
	q = ExplainQuery{
		Listener: values.Get("listener"), Protocol: values.Get("protocol"), Method: values.Get("method"), Host: values.Get("host"),
		Path: values.Get("path"), SNI: values.Get("sni"), ALPN: values["alpn"],
	}
	if q.Client, err = clientParameter(values.Get("client")); err != nil {
		return q, err
	}
	if text := values.Get("dst"); text != "" {
		if q.Destination, err = netip.ParseAddrPort(text); err != nil {
			return q, badParameter("dst", quote(text)+" is not an IP:PORT", "write it like 10.0.0.1:443 or [2001:db8::1]:443")
		}
	}
	if q.CID, err = hex.DecodeString(values.Get("cid")); err != nil {
		return q, badParameter("cid", quote(values.Get("cid"))+" is not hexadecimal", "write two digits for each byte")
	}
	if q.Headers, err = headerParameters(values["header"]); err != nil {
		return q, err
	}
	for _, state := range []string{"down", "drain", "maintenance"} {
		for _, text := range values[state] {
			pool, backend, ok := strings.Cut(text, "/")
			if !ok || pool == "" || backend == "" {
				return q, badParameter(state, quote(text)+" is not POOL/BACKEND", "write both names, with a / between them")
			}
			q.If = append(q.If, Supposition{Pool: pool, Backend: backend, State: state})
		}
	}
	return q, nil
}

// clientParameter reads IP or IP:PORT.
func clientParameter(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, 0), nil
	}
	client, err := netip.ParseAddrPort(text)
	if err != nil {
		return client, badParameter("client", quote(text)+" is not an IP address", "write IP or IP:PORT")
	}
	return client, nil
}

// headerParameters reads fields NAME: VALUE.
func headerParameters(list []string) (headers []config.Header, err error) {
	for _, text := range list {
		name, value, ok := strings.Cut(text, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, badParameter("header", quote(text)+" is not a field", "write NAME: VALUE")
		}
		headers = append(headers, config.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	return headers, nil
}

func badParameter(name, what, hint string) *Problem {
	return problem(http.StatusBadRequest, "parameter "+quote(name)+": "+what, hint)
}
