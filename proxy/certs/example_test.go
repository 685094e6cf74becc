package certs_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"

	"weir/proxy/certs"
)

// A TLS listener is made once and sees new files by Refresh, which its owner calls on a timer or a
// signal.
func ExampleNew() {
	identity, warnings, err := certs.New(certs.Options{
		Certificates: []certs.Pair{{Cert: "/etc/weir/shop.crt", Key: "/etc/weir/shop.key"}},
		MinVersion:   "1.3",
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range warnings {
		log.Print(w)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	secure := tls.NewListener(ln, identity.Config())
	defer secure.Close()

	changed, err := identity.Refresh()
	switch {
	case errors.Is(err, certs.ErrMismatch):
		log.Printf("perhaps half of a pair is written: %v", err)
	case err != nil:
		log.Printf("the old stays: %v", err)
	case changed:
		log.Print("new files are in use")
	}
}

func ExampleLooksLikeHTTP() {
	fmt.Println(certs.LooksLikeHTTP([]byte("GET /")), certs.LooksLikeHTTP([]byte{22, 3, 1, 2, 0}))
	// Output: true false
}
