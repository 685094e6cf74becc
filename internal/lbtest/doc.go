// Package lbtest holds the backends that tests balance over and probe: real sockets on 127.0.0.1,
// port chosen by the kernel, that behave as told and misbehave as told.
//
// HTTP is a web server on net/http whose answer can be changed while it runs, which can be stopped
// and started again on its port, and which counts and keeps what it was asked. TCP is a bare
// listener that gives each connection to a function; Script, Hang, Drip and Reset are functions for
// it. Refusing is an address where connections are refused, and stay so. Eventually waits for a
// condition with a deadline, so that no test sleeps.
//
// Certificate makes what TLS needs. Main looks for what the tests of a package have left behind.
//
// Every backend ends with its test, and its goroutines have ended by then: tests that look for
// leaks need not wait. All methods may be called concurrently. The package is for tests only and
// imports nothing else of this module.
package lbtest
