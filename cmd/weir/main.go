package main

import (
	"context"
	"os"
)

// The linker sets these (-X main.version=…); nothing writes them at run time.
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
