package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"weir/config"
	"weir/config/store"
)

// A pool is made through the API, and a backend of the file is drained, in one change.
func ExampleStore_Update() {
	dir, err := os.MkdirTemp("", "weir-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "weir.yaml")
	text := "state_dir: state\nlisteners: { web: { protocol: http, address: \":8080\", pool: app } }\npools: { app: { backends: { b1: \"10.0.0.1:80\" } } }\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	s, err := store.Open(store.Options{File: file})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	done, err := s.Update(context.Background(), store.Change{
		Actor: "an example",
		Edit: func(d *store.Draft) error {
			_, err := d.Put(store.Ref{Kind: store.Pool, Name: "shop"}, []byte(`{"backends": ["10.0.1.1:80"]}`))
			return errors.Join(err, d.SetOverride(store.BackendRef{Pool: "app", Backend: "b1"}, config.Override{State: new(config.Drain)}))
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(done.Revision.Number, done.Summary)
	pool, err := s.Current().Object(store.Ref{Kind: store.Pool, Name: "shop"})
	fmt.Println(string(pool.Spec), pool.Origin, err)
	// Output:
	// 2 1 pool added, 1 override set, 0 connections closed
	// {"backends":{"10.0.1.1:80":{"address":"10.0.1.1:80"}}} api <nil>
}
