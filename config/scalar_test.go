package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestScalars(t *testing.T) {
	tests := []struct {
		path, text, want string // want empty: refused
	}{
		{"pools.*.timeouts.connect", "250ms", "250ms"},
		{"pools.*.timeouts.connect", "1h30m", "1h30m0s"},
		{"pools.*.timeouts.connect", "0", "0s"},
		{"pools.*.timeouts.connect", "24h", "24h0m0s"},
		{"pools.*.timeouts.connect", "24h1ns", ""},
		{"pools.*.timeouts.connect", "1d", ""},
		{"pools.*.timeouts.connect", "999999999999h", ""},
		{"pools.*.health_check.interval", "0", ""},
		{"defaults.limits.max_header", "64KiB", "65536"},
		{"defaults.limits.max_header", "64 kib", "65536"},
		{"defaults.limits.max_header", "65536", "65536"},
		{"defaults.limits.max_header", "1024B", "1024"},
		{"defaults.limits.max_header", "64k", ""},
		{"defaults.limits.max_header", "KiB", ""},
		{"defaults.limits.max_header", "", ""},
		{"defaults.limits.max_header", "-64KiB", ""},
		{"defaults.limits.max_header", "9223372036854775807TiB", ""},
		{"defaults.limits.max_body", "1TiB", "1099511627776"},
		{"pools.*.hash.seed", "9223372036854775807", "9223372036854775807"},
		{"pools.*.hash.seed", "9223372036854775808", ""},
		{"pools.*.hash.seed", "0x10", ""},
		{"pools.*.hash.seed", "010", ""},
		{"pools.*.hash.seed", "1_000", ""},
		{"pools.*.hash.seed", "-0", "0"},
		{"pools.*.retries.budget", "12.5%", "0.125"},
		{"pools.*.retries.budget", "0.2", ""},
		{"pools.*.retries.budget", "100.1%", ""},
		{"pools.*.retries.budget", "NaN%", ""},
		{"log.access.sample", "1", "1"},
		{"log.access.sample", "NaN", ""},
		{"log.access.sample", "-0.1", ""},
		{"log.level", "WaRn", "warn"},
		{"pools.*.algorithm", "LEAST_CONNECTIONS", "least_connections"},
		{"pools.*.backends.*.address", "10.0.0.1:80", "10.0.0.1:80"},
		{"pools.*.backends.*.address", "[2001:DB8::1]:80", "[2001:db8::1]:80"},
		{"pools.*.backends.*.address", "[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
		{"pools.*.backends.*.address", "[fe80::1%eth0]:80", "[fe80::1%eth0]:80"},
		{"pools.*.backends.*.address", ":80", ""},
		{"pools.*.backends.*.address", "10.0.0.1:65536", ""},
		{"pools.*.backends.*.address", "10.0.0.1:+80", ""},
		{"pools.*.backends.*.address", "http://10.0.0.1:80", ""},
		{"listeners.*.address", ":80", ":80"},
		{"listeners.*.address", "*:80", ":80"},
		{"listeners.*.address", "[::1]:0", "[::1]:0"},
		{"listeners.*.forwarded.trust[]", "192.0.2.1", "192.0.2.1/32"},
		{"listeners.*.forwarded.trust[]", "::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"listeners.*.forwarded.trust[]", "::ffff:0:0/95", ""},
		{"listeners.*.forwarded.trust[]", "0.0.0.0/0", "0.0.0.0/0"},
		{"listeners.*.routes[].host", "*.Shop.Example.", "*.shop.example"},
		{"listeners.*.routes[].host", "*", ""},
		{"listeners.*.routes[].host", "a..b", ""},
		{"listeners.*.routes[].host", "a.example:80", ""},
		{"listeners.*.routes[].host", "10.0.0.1", "10.0.0.1"},
		{"listeners.*.routes[].method[]", "delete", "DELETE"},
		{"listeners.*.routes[].method[]", "Purge", "Purge"},
		{"listeners.*.routes[].method[]", "CONNECT", ""},
		{"listeners.*.routes[].path", "/a b", ""},
		{"pools.*.health_check.path", "/a?b=c", "/a?b=c"},
		{"pools.*.health_check.path", "/a#b", ""},
		{"pools.*.health_check.host", "a.example:8080", "a.example:8080"},
		{"pools.*.health_check.host", "[::1]:8080", "[::1]:8080"},
		{"pools.*.health_check.host", "::1", "::1"},
		{"pools.*.health_check.host", "a.example:port", ""},
		{"pools.*.health_check.host", "a\r\nb", ""},
		{"pools.*.health_check.headers.*", " x ", "x"},
		{"pools.*.health_check.headers.*", "a\nb: c", ""},
		{"pools.*.health_check.body", `^((?!false).|\s)*$`, `^((?!false).|\s)*$`},
		{"pools.*.health_check.body", `(?<=a)b`, `(?<=a)b`},
		{"pools.*.health_check.body", `[`, ""},
		{"pools.*.health_check.status[]", "!500-599", "{!500-599 {500 599} true}"},
		{"pools.*.health_check.status[]", "200 - 299", "{200 - 299 {200 299} false}"},
		{"pools.*.health_check.status[]", "600", ""},
		{"pools.*.health_check.status[]", "", ""},
		{"pools.*.health_check.send", "hex:50 49", "[80 73]"},
		{"pools.*.health_check.send", "PI", "[80 73]"},
		{"pools.*.health_check.expect", "hex:5049", "{ [80 73]}"},
		{"pools.*.health_check.expect", "^P", "{^P []}"},
		{"pools.*.health_check.expect", "(", ""},
		{"listeners.*.routes[].path_regex", `^/a{2}$`, `^/a{2}$`},
		{"listeners.*.routes[].path_regex", `(a)\1`, ""},
		{"listeners.*.routes[].redirect.to", "https://{host}{path}{query}", "https://{host}{path}{query}"},
		{"listeners.*.routes[].redirect.to", "HTTP://[::1]:80/a?b={path}#c", "HTTP://[::1]:80/a?b={path}#c"},
		{"listeners.*.routes[].redirect.to", "/new{path}", "/new{path}"},
		{"listeners.*.routes[].redirect.to", "/", "/"},
		{"listeners.*.routes[].redirect.to", "{host}{path}", ""},
		{"listeners.*.routes[].redirect.to", "https:///a", ""},
		{"listeners.*.routes[].redirect.to", "https://a.example/}", ""},
		{"listeners.*.routes[].redirect.to", "/\\evil.example", ""},
		{"listeners.*.routes[].redirect.to", "javascript:alert(1)", ""},
		{"listeners.*.routes[].redirect.status", "307", "307"},
		{"listeners.*.routes[].redirect.status", "300", ""},
		{"listeners.*.routes[].rewrite", "/v2{path}", "/v2{path}"},
		{"listeners.*.routes[].rewrite", "{path}", ""},
		{"listeners.*.routes[].rewrite", "/a#b", ""},
		{"listeners.*.routes[].request_headers.remove[]", "X-A", "X-A"},
		{"listeners.*.routes[].request_headers.remove[]", "X A", ""},
		{"listeners.*.routes[].request_headers.set.*", "a\x00", ""},
		{"listeners.*.routes[].respond.status", "599", "599"},
		{"listeners.*.routes[].respond.status", "199", ""},
		{"listeners.*.routes[].respond.body", "a\nb", "a\nb"},
		{"listeners.*.routes[].respond.body", strings.Repeat("a", maxPayload+1), ""},
		{"listeners.*.rate_limit.rate", "0.001", "0.001"},
		{"listeners.*.rate_limit.rate", "1000001", ""},
		{"listeners.*.tls.cipher_suites[]", "TLS_RSA_WITH_RC4_128_SHA", ""},
		{"listeners.*.tls.ticket_keys[]", strings.Repeat("aB", 32), fmt.Sprint(bytes.Repeat([]byte{0xab}, 32))},
		{"listeners.*.tls.ticket_keys[]", strings.Repeat("-_8_", 10) + "-_8", fmt.Sprint(append(bytes.Repeat([]byte{0xfb, 0xff, 0x3f}, 10), 0xfb, 0xff))},
		{"listeners.*.tls.ticket_keys[]", strings.Repeat("+/8/", 10) + "+/8=", fmt.Sprint(append(bytes.Repeat([]byte{0xfb, 0xff, 0x3f}, 10), 0xfb, 0xff))},
		{"listeners.*.tls.ticket_keys[]", strings.Repeat("+/8/", 10) + "+/9=", ""}, // bits behind the end
		{"listeners.*.tls.ticket_keys[]", strings.Repeat("+/8/", 10) + "-/8=", ""},
		{"listeners.*.tls.ticket_keys[]", strings.Repeat("ab", 31), ""},
		{"pools.*.session_persistence.timeout", "1m", "1m0s"},
		{"pools.*.session_persistence.timeout", "59s", ""},
		{"pools.*.session_persistence.timeout", "1440m", "24h0m0s"},
		{"pools.*.session_persistence.timeout", "1441m", ""},
		{"pools.*.session_persistence.cookie.name", "*", "*"},
		{"pools.*.session_persistence.cookie.name", "a=b", ""},
		{"pools.*.session_persistence.cookie.name", strings.Repeat("a", 256), ""},
		{"pools.*.session_persistence.cookie.path", "/a;b", ""},
		{"pools.*.session_persistence.cookie.path", "/a\r\nb", ""},
		{"log.access.output", "STDOUT", "stdout"},
		{"log.access.output", "", ""},
		{"admin.socket", "a\x00b", ""},
	}
	keys := allKeys(vocabularyOf(every()))
	for _, tt := range tests {
		k := keys[tt.path]
		if k == nil {
			t.Fatalf("no key %s", tt.path)
		}
		got, p := k.parse(tt.text)
		switch {
		case p != nil && (p.text == "" || p.hint == ""):
			t.Errorf("%s %q: a problem without words: %+v", tt.path, tt.text, p)
		case p != nil && tt.want != "":
			t.Errorf("%s %q: %s", tt.path, tt.text, p.text)
		case p == nil && fmt.Sprint(got) != tt.want:
			t.Errorf("%s %q: got %v, want %q", tt.path, tt.text, got, tt.want)
		}
	}
}

func TestClosest(t *testing.T) {
	words := []string{"protocol", "algorithm", "weighted_round_robin", "least_connections", "up", "down", "http", "pool"}
	for got, want := range map[string]string{
		"algoritm": "algorithm", "Protocl": "protocol", "round_robin": "weighted_round_robin", "leastconn": "", "dwon": "down",
		"htpp": "http", "pools": "pool", "x": "", "": "", "completely_different": "", "least_conn": "least_connections",
	} {
		if near := closest(got, words); near != want {
			t.Errorf("closest(%q): got %q, want %q", got, near, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"äb", "bä", 1},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want || editDistance(tt.b, tt.a) != tt.want {
			t.Errorf("editDistance(%q, %q): got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestStatusSet(t *testing.T) {
	c := mustLoad(t, webListener+`pools: { app: { health_check: { protocol: http, status: [200, "300-399", "!304"] }, backends: ["10.0.0.1:80"] } }`)
	s := c.Pools["app"].Health.Status
	want := StatusSet{"200,300-399,!304", []StatusRange{{200, 200}, {300, 399}}, []StatusRange{{304, 304}}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
	for code, in := range map[int]bool{200: true, 201: false, 300: true, 399: true, 304: false, 400: false} {
		if s.Contains(code) != in {
			t.Errorf("%d: got %v", code, !in)
		}
	}
	c = mustLoad(t, webListener+`pools: { app: { health_check: { protocol: http, status: "!500-599" }, backends: ["10.0.0.1:80"] } }`)
	if s := c.Pools["app"].Health.Status; !s.Contains(204) || s.Contains(503) {
		t.Errorf("exclusions only: %+v", s)
	}
}
