package exchange

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"

	"weir/config"
)

// maxPage bounds an error page: it is held in memory and sent in one piece.
const maxPage = 1 << 20

// page is an error page.
type page struct {
	body []byte
	kind string // media type
}

// Pages are the error pages of a listener, by status.
type Pages map[int]page

// ReadPages reads the error pages that c names; all that is wrong with them is in the error.
func ReadPages(c *config.Listener) (Pages, error) {
	pages := Pages{}
	var errs []error
	for _, status := range slices.Sorted(maps.Keys(c.ErrorPages)) {
		file := c.ErrorPages[status]
		body, err := os.ReadFile(file)
		if err == nil && len(body) > maxPage {
			err = fmt.Errorf("%s has %d bytes, more than %d", file, len(body), maxPage)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("listeners.%s.error_pages.%d: %w", c.Name, status, err))
			continue
		}
		pages[status] = page{body, http.DetectContentType(body)}
	}
	return pages, errors.Join(errs...)
}

// page returns the error page for a status, nil if there is none.
func (s *Site) page(status int) (body []byte, kind string) {
	p := s.pages[status]
	return p.body, p.kind
}
