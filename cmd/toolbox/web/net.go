package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// Nc connects, or listens for one connection, and copies between it and standard input and output.
func Nc(c *call.Call) int {
	fs := c.Flags()
	listen, udp, zero, keep := fs.Bool("l", false, "listen"), fs.Bool("u", false, "UDP"), fs.Bool("z", false, "only connect"), fs.Bool("k", false, "listen for more")
	port, wait := fs.String("p", "", "local port"), fs.Float64("w", 0, "seconds to wait")
	if fs.Parse(call.Split(c.Args, "luzkvn")) != nil {
		return 2
	}
	c.DieOf(nil)
	network := "tcp"
	if *udp {
		network = "udp"
	}
	limit := time.Duration(*wait * float64(time.Second))
	if !*listen {
		if fs.NArg() != 2 {
			return c.Usage("[-uz] [-w SECONDS] HOST PORT | -l [-uk] -p PORT")
		}
		conn, err := net.DialTimeout(network, net.JoinHostPort(fs.Arg(0), fs.Arg(1)), limit)
		if err != nil {
			return c.Fail(err)
		}
		if *zero {
			return c.Ended(conn.Close())
		}
		return c.Ended(both(c, conn))
	}
	if *port == "" {
		*port = fs.Arg(0)
	}
	if *udp {
		return c.Ended(receive(c, ":"+*port))
	}
	l, err := net.Listen(network, ":"+*port)
	if err != nil {
		return c.Fail(err)
	}
	for {
		conn, err := l.Accept()
		if err == nil {
			err = both(c, conn)
		}
		if err != nil || !*keep {
			return c.Ended(err)
		}
	}
}

// both copies both ways until the other side has ended.
func both(c *call.Call, conn net.Conn) error {
	go func() {
		_, _ = io.Copy(conn, c.In)
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.CloseWrite() // the other side may be gone already
		}
	}()
	_, err := io.Copy(c.Out, conn)
	return errors.Join(err, conn.Close())
}

// receive answers the first who sends.
func receive(c *call.Call, addr string) error {
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	var once sync.Once
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		once.Do(func() {
			go func() {
				_ = call.Lines(c.In, func(line []byte) error {
					_, err := conn.WriteTo(line, from)
					return err
				})
			}()
		})
		if _, err := c.Out.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// Nslookup looks a name or an address up, at a server if one is given.
func Nslookup(c *call.Call) int {
	if len(c.Args) < 1 || len(c.Args) > 2 {
		return c.Usage("NAME [SERVER]")
	}
	r := &net.Resolver{PreferGo: true}
	if len(c.Args) == 2 {
		server := net.JoinHostPort(c.Args[1], "53")
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		}
	}
	if net.ParseIP(c.Args[0]) != nil {
		found, err := r.LookupAddr(c.Context, c.Args[0])
		for _, n := range found {
			fmt.Fprintf(c.Out, "%s\tname = %s\n", c.Args[0], n)
		}
		return c.Ended(err)
	}
	found, err := r.LookupHost(c.Context, c.Args[0])
	for i, a := range found {
		fmt.Fprintf(c.Out, "Name:\t%s\nAddress %s: %s\n", c.Args[0], strconv.Itoa(i+1), a)
	}
	return c.Ended(err)
}
