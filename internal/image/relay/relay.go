// Package relay has what containerd's libraries log written by Hull's own logger.
package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
)

// To makes the logger that containerd's libraries take from a context write to l, one level lower: what is worth a line of its
// own is said by who uses them. onError, when not nil, sees the errors that the libraries only log.
func To(l *slog.Logger, onError func(error)) *log.Entry {
	out := logrus.New()
	out.SetOutput(io.Discard)
	out.SetLevel(logrus.WarnLevel)
	if l.Enabled(context.Background(), slog.LevelDebug) {
		out.SetLevel(logrus.DebugLevel)
	}
	out.AddHook(hook{log: l, onError: onError})
	return logrus.NewEntry(out)
}

// Adopt sends to l what containerd's libraries write where no context reaches: to logrus's own logger, on standard error.
// A process has one store; with several, in tests, the last one opened gets it.
func Adopt(l *slog.Logger) {
	std := logrus.StandardLogger()
	std.SetOutput(io.Discard)
	hooks := logrus.LevelHooks{}
	hooks.Add(hook{log: l})
	std.ReplaceHooks(hooks)
}

type hook struct {
	log     *slog.Logger
	onError func(error)
}

func (h hook) Levels() []logrus.Level { return logrus.AllLevels }

func (h hook) Fire(e *logrus.Entry) error {
	level := slog.LevelDebug
	if e.Level <= logrus.ErrorLevel {
		level = slog.LevelWarn
	}
	if h.onError != nil && e.Level <= logrus.ErrorLevel {
		if err, ok := e.Data[logrus.ErrorKey].(error); ok {
			h.onError(fmt.Errorf("%s: %w", e.Message, err))
			return nil
		}
	}
	attrs := make([]slog.Attr, 0, len(e.Data))
	for k, v := range e.Data {
		attrs = append(attrs, slog.Any(k, v))
	}
	h.log.LogAttrs(context.Background(), level, e.Message, attrs...)
	return nil
}
