package store

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The files of a state directory.
const (
	stateName = "state.json"
	logName   = "state.log"
	newSuffix = ".new"
)

// compactAt is the size of the log above which its changes are brought into state.json.
const compactAt = 4 << 20

// keeper writes down what is wanted. It is not for concurrent use.
type keeper struct {
	files  files
	image  image  // what is kept
	log    file   // nil: not open yet
	size   int64  // of the log, all of it whole; 0: there is none
	most   int64  // size of the log above which it is to be compacted
	stale  bool   // the log may have what was never answered: it must be made anew before it is used
	remark string // about what was found; empty: nothing to say
}

// newKeeper reads what a directory has. Nothing is written yet, so one that cannot be written to is no
// error.
func newKeeper(f files) (*keeper, error) {
	k := &keeper{files: f, image: image{Format: stateFormat}, most: compactAt}
	data, err := readIfThere(f, stateName)
	if err == nil && data != nil {
		k.image, err = parseImage(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", stateName, err)
	}
	if err := k.replay(); err != nil {
		return nil, fmt.Errorf("%s: %w", logName, err)
	}
	return k, k.image.check()
}

// replay brings the changes of the log into the image.
func (k *keeper) replay() error {
	data, err := readIfThere(k.files, logName)
	if err != nil || data == nil {
		return err
	}
	l, err := readLog(data)
	if err != nil {
		return err
	}
	k.size = l.size
	if l.torn > 0 {
		k.remark = fmt.Sprintf("%s ends with %d bytes of a change that was not finished; it was not answered, and is left out", logName, l.torn)
	}
	for _, r := range l.records {
		switch {
		case r.Sequence <= k.image.Sequence: // it is in state.json already
		case r.Sequence != k.image.Sequence+1:
			return fmt.Errorf("change %d follows on change %d; restore it and %s from one copy, or move it away", r.Sequence, k.image.Sequence, stateName)
		default:
			if err := k.image.apply(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep writes down a revision. When it returns without an error, it is on the disk; else it is not, unless
// the disk refuses to undo it as well, which the error says. Then everything that is tried next begins with
// that.
func (k *keeper) keep(next *Revision, actor string) error {
	r := k.image.stepTo(next, actor)
	after := k.image
	if err := after.apply(r); err != nil {
		return err
	}
	bytes, err := frame(r)
	if err != nil {
		return err
	}
	if k.stale {
		if err := k.compact(); err != nil {
			return err
		}
	}
	if err := k.openLog(); err != nil {
		return err
	}
	if err := k.append(bytes); err != nil {
		return err
	}
	k.image = after
	return nil
}

// openLog opens the log, or makes it.
func (k *keeper) openLog() error {
	if k.log != nil {
		return nil
	}
	if k.size == 0 {
		return k.renewLog()
	}
	f, err := k.files.open(logName, k.size)
	if err != nil {
		return err
	}
	// What was cut off must not come back in front of what follows; and a process before this one may have
	// ended between the renaming of a file and the sync of its name.
	if err := errors.Join(f.Sync(), k.files.sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	k.log = f
	return nil
}

// append adds a frame to the log, synced, or leaves the log as it was.
func (k *keeper) append(frame []byte) error {
	_, err := k.log.Write(frame)
	if err == nil {
		if err = k.log.Sync(); err == nil {
			k.size += int64(len(frame))
			return nil
		}
		k.stale = true // after a failed sync nobody knows what is on the disk
	}
	if undo := errors.Join(k.log.Truncate(k.size), k.log.Sync()); undo != nil {
		k.stale = true
		err = errors.Join(err, undo)
	}
	if k.stale {
		err = errors.Join(err, k.compact())
	}
	if k.stale {
		err = fmt.Errorf("%w; and it could not be undone on the disk: it may be there after a restart", err)
	}
	return err
}

// wantsCompact reports whether the log is so long that compact should be called.
func (k *keeper) wantsCompact() bool { return k.size > k.most }

// compact writes everything into state.json and begins another log. On an error what was there holds.
func (k *keeper) compact() error {
	data, err := json.Marshal(k.image)
	if err != nil {
		return err
	}
	if _, err := k.replace(stateName, append(data, '\n')); err != nil {
		return err
	}
	return k.renewLog()
}

// renewLog replaces the log by an empty one.
func (k *keeper) renewLog() error {
	replaced, err := k.replace(logName, []byte(logHeader))
	if replaced {
		k.closeLog() // it has no name any more
		k.size = int64(len(logHeader))
	}
	if err != nil {
		k.stale = k.stale || replaced
		return err
	}
	k.stale = true
	log, err := k.files.open(logName, k.size)
	if err != nil {
		return err
	}
	k.log, k.stale = log, false
	return nil
}

// replace writes a file whole or not at all. It may be replaced although there is an error: then nobody
// knows which of the two will be there after a crash.
func (k *keeper) replace(name string, data []byte) (replaced bool, err error) {
	f, err := k.files.open(name+newSuffix, 0)
	if err != nil {
		return false, err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	if err := k.files.rename(name+newSuffix, name); err != nil {
		return false, err
	}
	return true, k.files.sync()
}

// close ends all writing.
func (k *keeper) close() {
	if k.stale {
		_ = k.compact() // what could not be undone has been told to whom it concerns
	}
	k.closeLog()
}

// closeLog closes the log. All of it is synced: an error has nothing to say.
func (k *keeper) closeLog() {
	if k.log != nil {
		_ = k.log.Close()
		k.log = nil
	}
}
