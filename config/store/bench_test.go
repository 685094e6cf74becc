package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkUpdate changes one backend among many pools of the API.
func BenchmarkUpdate(b *testing.B) {
	for _, pools := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(pools), func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "weir.yaml")
			if err := os.WriteFile(file, []byte(plainFile), 0o600); err != nil {
				b.Fatal(err)
			}
			s, err := Open(Options{File: file})
			if err != nil {
				b.Fatal(err)
			}
			_, err = s.Update(context.Background(), Change{Edit: func(d *Draft) error {
				for i := range pools {
					if _, err := d.Put(Ref{Kind: Pool, Name: fmt.Sprintf("p%d", i)}, []byte(`{"backends":["10.0.0.1:80","10.0.0.2:80","10.0.0.3:80","10.0.0.4:80"]}`)); err != nil {
						return err
					}
				}
				return nil
			}})
			if err != nil {
				b.Fatal(err)
			}
			weight := 0
			for b.Loop() {
				weight = weight%200 + 1
				_, err := s.Update(context.Background(), Change{Edit: func(d *Draft) error {
					return d.Patch(Ref{Kind: Backend, Name: "p1", Backend: "10.0.0.1:80"}, fmt.Appendf(nil, `{"weight": %d}`, weight))
				}})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
