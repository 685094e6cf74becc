package config

// pagesOfFile wants the error pages of a listener that was made through the API to be pages of listeners of the
// file: what is in them is sent to every client, so any other path would be a way to read what this process may
// read and whoever writes to the API may not.
func (c *checker) pagesOfFile(l *value) {
	if !l.head.api() {
		return
	}
	served := map[string]bool{}
	for _, other := range c.root.child("listeners").items {
		if pages := other.child("error_pages"); !other.head.api() {
			for _, page := range pages.items {
				served[pages.file(page.name)] = true
			}
		}
	}
	pages := l.child("error_pages")
	for _, page := range pages.items {
		if !page.broken && !served[pages.file(page.name)] {
			c.fail(page, page.path+" is not an error page of a listener of the file",
				"listeners of the API can have those alone; define the listener in the file")
		}
	}
}
