package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
)

// This test binary is also the keeper under test (by its environment) and the daemon (by its first argument), which does
// what the test orders over a socket.
const (
	envRole    = "HULL_TEST_ROLE"
	fakeDaemon = "-fake-daemon"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == fakeDaemon:
		os.Exit(fake(os.Args[2]))
	case os.Getenv(envRole) == "keeper":
		os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// order is what the test tells the fake daemon, and report what that answers, with descriptors where they belong.
type order struct {
	Do    string
	Key   string
	Keys  []string
	N     int
	PID   int
	Child []string // a command line
	Born  bool     // tell the keeper of the child
}

type report struct {
	Err     string
	PID     int
	Exit    *Exit
	Records []reported
}

type reported struct {
	Key  string
	PID  int
	Exit *Exit
	FDs  int
}

func fake(path string) int {
	if err := serveOrders(path); err != nil {
		fmt.Fprintln(os.Stderr, "fake daemon:", err)
		return 3
	}
	return 0
}

func serveOrders(path string) error {
	fd, err := strconv.Atoi(os.Getenv(EnvFD))
	if err != nil {
		return err
	}
	syscall.CloseOnExec(fd)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	c, err := Connect(os.NewFile(uintptr(fd), "keeper"), log)
	if err != nil {
		return err
	}
	conn, err := fdconn.Dial(path)
	if err != nil {
		return err
	}
	if err := sendReport(conn, report{PID: os.Getpid()}); err != nil {
		return err
	}
	go func() {
		<-c.Done()
		os.Exit(7)
	}()
	for {
		b, fds, err := conn.Recv(maxMsg)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var o order
		if err := json.Unmarshal(b, &o); err != nil {
			return err
		}
		r, files := obey(c, o, fds)
		closeFiles(fds)
		if err := sendReport(conn, r, files...); err != nil {
			return err
		}
		closeFiles(files)
	}
}

func obey(c *Client, o order, fds []*os.File) (r report, files []*os.File) {
	ctx := context.Background()
	var err error
	switch o.Do {
	case "register":
		err = register(ctx, c, o.Key, fds...)
	case "register-many":
		for i := range o.N {
			err = errors.Join(err, register(ctx, c, fmt.Sprint(o.Key, i), fds...))
		}
	case "clone":
		r.PID, err = clone(o.Child)
		if err == nil && o.Born {
			err = c.born(o.Key, r.PID)
		}
	case "born":
		err = c.born(o.Key, o.PID)
	case "add":
		err = c.Add(ctx, o.Key, fds...)
	case "forget":
		err = c.Forget(ctx, o.Keys...)
	case "records":
		r.Records, files, err = recordsOf(c, ctx)
	case "exit-event":
		e, ok := <-c.Exits()
		if !ok {
			err = errors.New("no more exits")
		}
		r.Exit = &e
	case "open":
		var f *os.File
		if f, err = c.OpenProcess(ctx, o.Key, o.PID); err == nil {
			files = append(files, f)
		}
	case "open-fds":
		r.PID, err = openFDs(os.Getpid())
	case "ready":
		err = c.Ready()
	case "close":
		err = c.Close()
	case "exit":
		os.Exit(o.N)
	default:
		err = fmt.Errorf("order %q", o.Do)
	}
	if err != nil {
		r.Err = err.Error()
	}
	return r, files
}

func recordsOf(c *Client, ctx context.Context) ([]reported, []*os.File, error) {
	records, err := c.Records(ctx)
	var out []reported
	var files []*os.File
	for _, rec := range records {
		out = append(out, reported{Key: rec.Key, PID: rec.PID, Exit: rec.Exit, FDs: len(rec.FDs)})
		if len(records) < 10 {
			files = append(files, rec.FDs...)
		} else {
			closeFiles(rec.FDs)
		}
	}
	if len(out) > 10 { // a report is one message
		out = append(out[:1], out[len(out)-1], reported{PID: len(out)})
	}
	return out, files, err
}

// clone makes a child of the keeper.
func clone(argv []string) (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), 2},
		Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_PARENT},
	})
}

func sendReport(conn *fdconn.Conn, r report, files ...*os.File) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return conn.Send(b, files...)
}

func openFDs(pid int) (int, error) {
	es, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return len(es), err
}

// register waits until the keeper has the record.
func register(ctx context.Context, c *Client, key string, fds ...*os.File) error {
	r, err := c.Register(key, fds...)
	if err != nil {
		return err
	}
	return r.Wait(ctx)
}
