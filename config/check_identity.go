package config

import "fmt"

// ids wants different ones in one map of objects.
func (c *checker) ids(objects *value) {
	first := map[string]*value{}
	for _, o := range objects.items {
		if o.fields == nil {
			continue
		}
		v := o.child("id")
		id, _ := v.raw.(string) // kindID
		if v.broken || id == "" {
			continue
		}
		if earlier := first[id]; earlier != nil {
			c.fail(v, fmt.Sprintf("%s and %s have the same id %s", earlier.path, v.path, quote(id)), "give one of them another id", earlier.at)
			continue
		}
		first[id] = v
	}
}
