package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"weir/api"
	"weir/config"
	"weir/config/store"
	"weir/proxy"
	"weir/proxy/handover"
	"weir/resolve"
)

// takeOverTime bounds a process that takes over by itself; the other side has times of its own.
const takeOverTime = 2 * time.Minute

// inheritance is what a process starts with that others have made. The zero value is nothing.
type inheritance struct {
	taking  *handover.Taking // of the process before; nil: there is none
	conn    *handover.Conn
	sockets []handover.Socket // of the data plane
	admin   []api.Inherited
	numbers map[string]int // of those of the admin server, by their addresses
	started bool           // by the process before
	dead    bool           // the process before has ended in between
	formers *formers       // the process before, and those before it; nil: there are none
}

// inherit finds what there is: from the process that has started this one, from the one that runs with the
// same configuration, if wanted, or from the service manager.
func inherit(takeOver bool, file string) (*inheritance, error) {
	text := os.Getenv(handoverVariable)
	if err := os.Unsetenv(handoverVariable); err != nil {
		return nil, err
	}
	sockets, err := activated()
	if err != nil {
		return nil, err
	}
	var conn *handover.Conn
	switch {
	case text != "":
		conn, err = inheritedConn(text)
	case takeOver:
		conn, err = askForTakeOver(file)
	default:
		return &inheritance{sockets: sockets}, nil
	}
	closeSockets(sockets) // the other process has them
	if err != nil {
		return nil, err
	}
	h, err := takeFrom(conn)
	if err != nil {
		return nil, err
	}
	h.started = text != ""
	return h, nil
}

func inheritedConn(text string) (*handover.Conn, error) {
	fd, err := strconv.Atoi(text)
	if err == nil {
		unix.CloseOnExec(fd)
		var conn *handover.Conn
		if conn, err = handover.Inherit(fd); err == nil {
			return conn, nil
		}
	}
	return nil, fmt.Errorf("%s is %q: %w", handoverVariable, text, err)
}

// askForTakeOver connects to the process that runs with a configuration.
func askForTakeOver(file string) (*handover.Conn, error) {
	path, err := socketOf(file)
	if err != nil {
		return nil, &failure{exitUnreachable, fmt.Errorf("cannot find the process to take over from: %w", err)}
	}
	c, err := net.DialTimeout("unix", path, adminTimeout)
	if err != nil {
		return nil, newAdmin(path, adminTimeout).unreachable(err)
	}
	if err := upgradeConn(c); err != nil {
		return nil, errors.Join(fmt.Errorf("take over from the process at %s: %w", path, err), c.Close())
	}
	return handover.NewConn(c.(*net.UnixConn)), nil
}

// upgradeConn turns a connection to an admin socket into one of a hand-over.
func upgradeConn(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(adminTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "GET /v1/takeover HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", api.HandOverProtocol); err != nil {
		return err
	}
	// Byte by byte, for what follows may come with descriptors; in fact nothing does before this side speaks.
	res, err := http.ReadResponse(bufio.NewReaderSize(oneByOne{c}, 16), nil)
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return c.SetDeadline(time.Time{})
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxConfig))
	return errors.Join(refused(res, body), err)
}

// oneByOne reads single bytes, so that nothing is read beyond what is asked for.
type oneByOne struct{ io.Reader }

func (r oneByOne) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 1)]) }

// takeFrom hears what the process at the other end has.
func takeFrom(conn *handover.Conn) (*inheritance, error) {
	if err := conn.SetDeadline(time.Now().Add(takeOverTime)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	taking, err := handover.Take(conn, handover.Hello{PID: os.Getpid(), Version: version})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take over: %w", err), conn.Close())
	}
	h := &inheritance{taking: taking, conn: conn, numbers: map[string]int{}, formers: newFormers(taking.Offer())}
	for _, s := range taking.Offer().Sockets {
		if s.Network != handover.Admin {
			h.sockets = append(h.sockets, s)
			continue
		}
		h.admin = append(h.admin, api.Inherited{Address: s.Address, FD: s.FD})
		h.numbers[s.Address] = s.ID
	}
	return h, nil
}

// former lists the processes before this one that have connections left.
func (h *inheritance) former() []int {
	if h == nil {
		return nil
	}
	return h.formers.pids()
}

// wish is what the process before wanted beyond its files; nil: nothing.
func (h *inheritance) wish() []byte {
	if !h.held() {
		return nil
	}
	return h.taking.Offer().Wish
}

// names is what it knew of the names of backends.
func (h *inheritance) names() (list []resolve.Status) {
	if h.held() {
		// What cannot be read is looked up anew.
		_ = json.Unmarshal(h.taking.Offer().Names, &list)
	}
	return list
}

// ofPlane and ofAdmin are the sockets for the data plane and the admin server.
func (h *inheritance) ofPlane() []handover.Socket {
	if h == nil {
		return nil
	}
	return h.sockets
}

func (h *inheritance) ofAdmin() []api.Inherited {
	if h == nil {
		return nil
	}
	return h.admin
}

// held reports whether another process serves until this one is told to.
func (h *inheritance) held() bool { return h != nil && h.taking != nil }

// open opens the store. What is wrong with a configuration is told by the process before, if that has started
// this one.
func (h *inheritance) open(cmd *cobra.Command, o store.Options) (*store.Store, error) {
	o.Inherited = h.wish()
	if !h.held() {
		return openStore(cmd, o)
	}
	o.Wait = stateDirTime
	return store.Open(o)
}

// stateDirTime is how long the state directory may still be that of the process before.
const stateDirTime = time.Second

// refuse gives back what there is, because of an error that it returns. A process that has started this one
// is told the reason, and logs it, so that there is nothing left to say.
func (h *inheritance) refuse(err error) error {
	if !h.held() {
		closeSockets(h.sockets)
		return err
	}
	told := h.taking.Refuse(err.Error())
	err = errors.Join(err, h.conn.Close())
	if h.started && told == nil {
		return &failure{exitInvalid, nil}
	}
	return err
}

// takeOver is Start for a data plane that goes on for the one of another process. It returns when this one
// may serve, and does.
func (d *daemon) takeOver(c *config.Config) error {
	h, plane := d.options.inherited, d.plane.(server)
	s := plane.Server()
	p, err := s.Prepare(plane.Expand(c), true)
	if err != nil {
		s.Discard()
		return err
	}
	p.DropUnused()
	used := p.Used()
	for _, address := range []string{c.Admin.Socket, c.Admin.Listen} {
		if n, ok := h.numbers[address]; ok {
			used = append(used, n)
		}
	}
	memory := &proxy.Memory{}
	defer memory.Close()
	err = h.taking.Prepared(used)
	if err == nil {
		err = h.taking.Sections(func(part handover.Section) error {
			known, err := memory.Add(part)
			if !known {
				d.log.Warn("the process before knows something that this version does not", zap.String("section", part.Name))
			}
			return err
		})
	}
	if err != nil && !d.giverDead(err) {
		p.Abandon()
		s.Discard()
		return fmt.Errorf("take over: %w", err)
	}
	p.CommitWith(memory)
	if !h.dead {
		if err := h.taking.Ready(); err != nil && !d.giverDead(err) {
			s.Discard()
			return fmt.Errorf("take over: %w", err)
		}
	}
	s.Serve()
	plane.Follow()
	return nil
}

// giverDead reports whether err means that the process before has died, so that this one has to go on with
// what it has.
func (d *daemon) giverDead(err error) bool {
	h := d.options.inherited
	h.dead = h.taking.GiverDead(err)
	if h.dead {
		d.log.Warn("the process before has ended while it handed over: this one goes on with what it has",
			zap.Int("pid", h.taking.Offer().PID))
	}
	return h.dead
}

// taken ends the taking over: this process serves. It returns when the service manager knows it.
func (d *daemon) taken() {
	h := d.options.inherited
	if !h.held() {
		return
	}
	defer h.conn.Close() // all has been said
	defer d.keep()
	if h.dead {
		return
	}
	if err := h.taking.Serving(); err != nil && !d.giverDead(err) {
		d.log.Warn("the process before does not hear that this one serves", zap.Error(err))
		return
	}
	h.taking.AwaitEnd()
	d.log.Info("took over", zap.Int("from", h.taking.Offer().PID), zap.String("version", h.taking.Offer().Version),
		zap.Int("connections", d.plane.Connections()))
}

// keep brings what the process before wanted into a state directory that is new.
func (d *daemon) keep() {
	if err := d.options.store.Keep(context.Background()); err != nil {
		d.log.Error("what the process before wanted is in force, and will be in state_dir with the next change", zap.Error(err))
	}
}

// start is Start of the data plane, whoever had its sockets before.
func (d *daemon) start(ctx context.Context, c *config.Config) error {
	if d.options.inherited.held() {
		return d.takeOver(c)
	}
	return d.plane.Start(ctx)
}
