// Package store keeps what is wanted of a running process: the files as they were last read, the
// objects that were made through the API, and the overrides of backends. It is where every change of
// them goes through, one after the other.
//
// # Nouns
//
// A Revision is one state of all that, checked and immutable. A Draft is a copy that a change edits. A
// Ref names a listener, a pool, a backend or the routes of a listener. A Diff is what two revisions
// differ in. A Plane is what carries a revision out: the data plane.
//
// # The path of a change
//
// Update copies the current revision, lets the caller edit the copy, has package config check the
// whole, has the plane prepare it, which is all that can fail, writes it to the state directory,
// synced, has the plane commit, which cannot fail, and publishes the revision. Reload goes the same way
// with the files read anew. An error at any step leaves everything as it was. Diff, DryRun and Validate
// go the first steps only.
//
// # Rules
//
// An object belongs to the file or to the API, never to both; the file is complete without those of the
// API. Objects of the file change in the file alone, but every backend may have an override. An
// override is kept over reloads and restarts until it is cleared, also while its backend is out of the
// configuration; it is dropped together with its pool, and when its backend is deleted through the API.
//
// Current and the methods of a Revision may be called from any goroutine and never wait. The methods
// that change something wait for each other.
package store
