package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/printers"
	"k8s.io/kubernetes/pkg/printers/internalversion"

	"github.com/hull-pods/hull/internal/api/strategy"
	"github.com/hull-pods/hull/internal/store"
)

// Config is what a Server is made of.
type Config struct {
	Store     *store.Store
	Node      string // the host's name: spec.nodeName of every Pod
	Version   Version
	Runtime   Runtime
	Sandboxes Sandboxes
	Images    Images
	System    System
	Log       *slog.Logger

	RuntimeClasses []string // the names that a Pod's spec.runtimeClassName may have
}

// Version is what /version says.
type Version struct {
	Hull string // "0.1.0"
}

// Server answers requests. It is an http.Handler; [Server.Serve] runs it on a listener.
type Server struct {
	cfg       Config
	scheme    *runtime.Scheme
	params    runtime.ParameterCodec
	decoders  decoders
	tables    printers.TableGenerator
	resources []*strategy.Strategy
	mux       *http.ServeMux
	started   time.Time

	quit     chan struct{} // closed when the server goes down: watches and follows end
	quitOnce sync.Once
}

// New makes the server of a Hull.
func New(cfg Config) (*Server, error) {
	scheme, err := strategy.NewScheme()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, scheme: scheme, params: runtime.NewParameterCodec(scheme), decoders: newDecoders(scheme),
		tables:    printers.NewTableGenerator().With(internalversion.AddHandlers),
		resources: []*strategy.Strategy{strategy.Pods(scheme, cfg.Node, cfg.RuntimeClasses), strategy.Events()},
		mux:       http.NewServeMux(),
		started:   time.Now(),
		quit:      make(chan struct{}),
	}
	for _, r := range s.routes() {
		s.mux.HandleFunc(r.pattern, s.handle(r.serve))
	}
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache, private")
	if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
		// The mux would redirect to the clean path, and a client that is to delete the Pod ".." would delete them all.
		s.handle(noSuchResource)(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Serve answers requests on a listener until ctx ends. Requests that are under way then have a moment to finish; watches,
// followed logs and sessions end at once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	sessions, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler:           s,
		BaseContext:       func(net.Listener) context.Context { return sessions },
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	down := make(chan error, 1)
	go func() {
		<-ctx.Done()
		s.quitOnce.Do(func() { close(s.quit) })
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err := srv.Shutdown(grace)
		cut()
		if err != nil {
			err = srv.Close()
		}
		down <- err
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
	}
	return <-down
}

// handlerFunc answers a request, or returns why it cannot.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

func (s *Server) handle(f handlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// until is a context that also ends when the server goes down.
func (s *Server) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
