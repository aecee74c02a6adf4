// Command serve makes the images that the examples name, if they are not there yet, and serves them on loopback in place of
// docker.io until it is interrupted.
//
//	go run ./internal/hulltest/images/serve -certs /etc/hull/certs.d
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hull-pods/hull/internal/hulltest/images"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:0", "address of the registry")
	certs := flag.String("certs", "", "directory to write the registry configuration to, for hulld's --registry-config")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *certs); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, certs string) error {
	if certs == "" {
		return errors.New("-certs is required")
	}
	dir, err := images.Layout(ctx)
	if err != nil {
		return err
	}
	h, err := images.Handler(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	if err := images.Certs(certs, url); err != nil {
		return errors.Join(err, l.Close())
	}
	fmt.Printf("serving %s at %s, in place of docker.io by %s\n", dir, url, certs)
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
