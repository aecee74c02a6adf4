package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// nc connects, or listens for one connection, and copies between it and standard input and output.
func nc(c *call) int {
	fs := c.flags()
	listen, udp, zero, keep := fs.Bool("l", false, "listen"), fs.Bool("u", false, "UDP"), fs.Bool("z", false, "only connect"), fs.Bool("k", false, "listen for more")
	port, wait := fs.String("p", "", "local port"), fs.Float64("w", 0, "seconds to wait")
	if fs.Parse(split(c.args, "luzkvn")) != nil {
		return 2
	}
	dieOf(nil)
	network := "tcp"
	if *udp {
		network = "udp"
	}
	limit := time.Duration(*wait * float64(time.Second))
	if !*listen {
		if fs.NArg() != 2 {
			return c.usage("[-uz] [-w SECONDS] HOST PORT | -l [-uk] -p PORT")
		}
		conn, err := net.DialTimeout(network, net.JoinHostPort(fs.Arg(0), fs.Arg(1)), limit)
		if err != nil {
			return c.fail(err)
		}
		if *zero {
			return c.ended(conn.Close())
		}
		return c.ended(both(c, conn))
	}
	if *port == "" {
		*port = fs.Arg(0)
	}
	if *udp {
		return c.ended(receive(c, ":"+*port))
	}
	l, err := net.Listen(network, ":"+*port)
	if err != nil {
		return c.fail(err)
	}
	for {
		conn, err := l.Accept()
		if err == nil {
			err = both(c, conn)
		}
		if err != nil || !*keep {
			return c.ended(err)
		}
	}
}

func (c *call) ended(err error) int {
	if err != nil {
		return c.fail(err)
	}
	return 0
}

// both copies both ways until the other side has ended.
func both(c *call, conn net.Conn) error {
	go func() {
		_, _ = io.Copy(conn, c.in)
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.CloseWrite() // the other side may be gone already
		}
	}()
	_, err := io.Copy(c.out, conn)
	return errors.Join(err, conn.Close())
}

// receive answers the first who sends.
func receive(c *call, addr string) error {
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
				_ = lines(c.in, func(line []byte) error {
					_, err := conn.WriteTo(line, from)
					return err
				})
			}()
		})
		if _, err := c.out.Write(buf[:n]); err != nil {
			return err
		}
	}
}

func nslookup(c *call) int {
	if len(c.args) < 1 || len(c.args) > 2 {
		return c.usage("NAME [SERVER]")
	}
	r := &net.Resolver{PreferGo: true}
	if len(c.args) == 2 {
		server := net.JoinHostPort(c.args[1], "53")
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		}
	}
	if net.ParseIP(c.args[0]) != nil {
		found, err := r.LookupAddr(c, c.args[0])
		for _, n := range found {
			fmt.Fprintf(c.out, "%s\tname = %s\n", c.args[0], n)
		}
		return c.ended(err)
	}
	found, err := r.LookupHost(c, c.args[0])
	for i, a := range found {
		fmt.Fprintf(c.out, "Name:\t%s\nAddress %s: %s\n", c.args[0], strconv.Itoa(i+1), a)
	}
	return c.ended(err)
}
