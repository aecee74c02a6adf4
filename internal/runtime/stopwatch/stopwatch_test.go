package stopwatch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestSteps(t *testing.T) {
	refused := errors.New("refused")
	for level, want := range map[slog.Level]int{slog.LevelDebug: 2, slog.LevelInfo: 0} {
		var out bytes.Buffer
		did := ""
		step := func(name string, err error) func(context.Context) error {
			return func(context.Context) error { did += name + " "; return err }
		}
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
		err := Run(t.Context(), log, "start", "0123", Steps{
			{"cgroup", step("cgroup", nil)}, {"pipes", step("pipes", nil)}, {"log", step("log", refused)}, {"process", step("process", nil)},
		})
		if !errors.Is(err, refused) || did != "cgroup pipes log " {
			t.Errorf("did %s, %v", did, err)
		}
		if got := strings.Count(out.String(), "of=start id=0123 step="); got != want {
			t.Errorf("level %s: %d steps, want %d:\n%s", level, got, want, out.String())
		}
	}
}
